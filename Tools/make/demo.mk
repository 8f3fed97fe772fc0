# An unmodified pipeline through ten power cuts, compared with the same pipeline on this host.
#: demo: a pipeline of unmodified programs through ten power cuts (KILLS, SEED)
demo: build
	Tools/demo.sh
