# The bare-metal image: the kernel and the ring-3 servers, Embedded Swift for x86_64-unknown-none-elf.
# `make image CHECKED=1`: with assertions on; a broken one stops the machine with a backtrace.

IMAGE_SWIFT := EVERTREE_BUILD=image swift build -c release --triple x86_64-unknown-none-elf \
	--toolset Sources/Hardware/Link/toolset.json --scratch-path .build/image $(if $(CHECKED),$(ASSERTIONS))
IMAGE_PRODUCTS := .build/image/x86_64-unknown-none-elf/release
# Everything that the image is compiled from.
IMAGE_SOURCES := Package.swift $(shell find $(addprefix Sources/,ABI Hardware Kernel Machine Primitives Runtime Servers Store) -type f \
	! -name '*.md')
# Changes when CHECKED does, so that no image is left from the other kind of build.
$(shell mkdir -p .build; echo "checked=$(CHECKED)" | cmp -s - .build/image.kind || echo "checked=$(CHECKED)" >.build/image.kind)
IMAGE_SOURCES += .build/image.kind

.PHONY: image test-boot
build: image
#: image: the bare-metal image alone; with CHECKED=1 its assertions are on
image: .build/evertree/kernel

.build/evertree/kernel: $(IMAGE_SOURCES) Tools/symbol-table
	@mkdir -p $(@D)
	$(IMAGE_SWIFT) --product MachinePC
	Tools/symbol-table $(IMAGE_PRODUCTS)/MachinePC $@

# A ring-3 server: `make .build/evertree/NAME` builds the product NAME of Package.swift. Its symbols stay in
# .build/image; the copy that goes into the bundle has none.
.build/evertree/%: $(IMAGE_SOURCES)
	@mkdir -p $(@D)
	$(IMAGE_SWIFT) --product $*
	llvm-objcopy --strip-all $(IMAGE_PRODUCTS)/$* $@

# Boots the image in QEMU and looks at what it says.
test: test-boot
test-boot: .build/evertree/kernel .build/evertree/NativeTest
	Tools/boot-test
