test: test-host
.PHONY: test-host
test-host:
	swift test
