# The command with its images, man pages and completions, below PREFIX (and DESTDIR, for packages).
PREFIX ?= /usr/local

.PHONY: install man
#: man: man pages of the command (.build/man)
man:
	rm -rf .build/man
	swift package --allow-writing-to-package-directory generate-manual --multi-page \
		--configuration release >/dev/null
	mkdir -p .build/man
	cp .build/plugins/GenerateManual/outputs/evertree/*.1 .build/man/

#: install: the command, its images, man pages and completions below PREFIX (/usr/local)
install: build man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/evertree $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 .build/release/evertree $(DESTDIR)$(PREFIX)/bin/
	install -m 644 .build/evertree/kernel .build/evertree/linux-server $(DESTDIR)$(PREFIX)/lib/evertree/
	install -m 644 .build/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	.build/release/evertree --generate-completion-script bash \
		>$(DESTDIR)$(PREFIX)/share/bash-completion/completions/evertree
	.build/release/evertree --generate-completion-script zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_evertree
	.build/release/evertree --generate-completion-script fish \
		>$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/evertree.fish
