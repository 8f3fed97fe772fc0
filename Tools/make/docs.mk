# Pages that are written from the source.
.PHONY: docs-native test-docs
#: docs: the pages that are written from the source, and the heap's DocC archive
docs: docs-native
docs-native:
	Tools/native-calls >Docs/native-calls.md

test: test-docs
test-docs:
	Tools/native-calls | diff Docs/native-calls.md - || { echo "run make docs"; exit 1; }
