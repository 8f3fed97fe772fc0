# The object space: the long crash campaign.
.PHONY: crash-objects
OBJECT_POINTS ?= 1000000

crash: crash-objects
#: crash-objects: power cuts at every persist step of transactions over several objects (OBJECT_POINTS=1000000)
crash-objects:
	swift build -c release --product object-crash
	.build/release/object-crash $(OBJECT_POINTS)
