# The command, and the library under it.
#: build: the kernel image, the Linux server and the command (.build/release/evertree)
build: build-cli
.PHONY: build-cli
build-cli: deps .build/evertree/linux-server
	swift build -c release --product evertree
