# An unmodified pipeline through ten power cuts, compared with the same pipeline on this host.
demo: build
	Tools/demo.sh
