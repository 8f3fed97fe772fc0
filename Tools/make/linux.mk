# The Linux server: compared with Linux on this host (it runs under ptrace there), and its coverage table.
LINUX_HOSTED := .build/debug/linux-server-hosted
CALLS ?= 1000000
SEED ?= 1

.PHONY: linux-hosted test-linux fuzz-hosted docs-linux
build: .build/evertree/linux-server
image: .build/evertree/linux-server

linux-hosted:
	swift build --product linux-server-hosted

# Scripts and programs give the same output as on Linux; a short run of hostile calls; the page of calls is up to date.
test: test-linux
test-linux: test-tools linux-hosted
	Tests/Linux/compare.sh $(LINUX_HOSTED)
	Tests/Linux/fuzz.sh $(LINUX_HOSTED) 20000
	$(LINUX_HOSTED) --coverage | diff Docs/linux-calls.md - || { echo "run make docs"; exit 1; }

# A root file system of Debian's packages, in the guest and in a chroot.
test: test-root
.PHONY: test-root
test-root: deps .build/evertree/kernel .build/evertree/linux-server
	@Tools/install-packages.sh umoci xz-utils zstd
	swift build --product evertree
	Tests/Linux/root.sh .build/debug/evertree

fuzz: fuzz-hosted fuzz-guest
.PHONY: fuzz-guest
fuzz-guest: test-tools build
	Tests/Linux/fuzz-guest.sh .build/release/evertree $(CALLS) $(SEED)

fuzz-hosted: test-tools linux-hosted
	Tests/Linux/fuzz.sh $(LINUX_HOSTED) $(CALLS) $(SEED)

docs: docs-linux
docs-linux: linux-hosted
	$(LINUX_HOSTED) --coverage > Docs/linux-calls.md
