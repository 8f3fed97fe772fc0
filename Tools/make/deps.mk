# Debian packages by name. The stamp makes a second run quick; other fragments add to the list before it is used.
DEBIAN_PACKAGES += qemu-system-x86 busybox-static cpio

.PHONY: deps
deps: .build/deps.stamp

.build/deps.stamp: $(wildcard Tools/make/*.mk)
	@mkdir -p $(@D)
	@Tools/install-packages.sh $(DEBIAN_PACKAGES)
	@touch $@

# What tests need besides: a C compiler for programs that run in the guest.
.PHONY: test-tools
test-tools:
	@Tools/install-packages.sh gcc libc6-dev
