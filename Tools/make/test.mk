#: test: all that CI runs: unit tests, simulation, fuzz slices, guest, documents
test: test-host
.PHONY: test-host
test-host:
	swift test
