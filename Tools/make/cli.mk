# The command, and the library under it.
build: build-cli
.PHONY: build-cli
build-cli: deps .build/evertree/linux-server
	swift build -c release --product evertree
