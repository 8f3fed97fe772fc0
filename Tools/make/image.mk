# The bare-metal image: the kernel and the ring-3 servers, Embedded Swift for x86_64-unknown-none-elf.

IMAGE_SWIFT := swift build --package-path Image -c release --triple x86_64-unknown-none-elf \
	--toolset Image/toolset.json --scratch-path .build/image
IMAGE_PRODUCTS := .build/image/x86_64-unknown-none-elf/release
# Everything that the image is compiled from.
IMAGE_SOURCES := $(shell find Image/Package.swift Image/*.ld $(addsuffix /,$(wildcard Image/Sources/*)) -type f)

# A ring-3 server: `make .build/evertree/NAME` builds the product NAME of Image/Package.swift. Its symbols stay in
# .build/image; the copy that goes into the bundle has none.
.build/evertree/%: $(IMAGE_SOURCES)
	@mkdir -p $(@D)
	$(IMAGE_SWIFT) --product $*
	llvm-objcopy --strip-all $(IMAGE_PRODUCTS)/$* $@
