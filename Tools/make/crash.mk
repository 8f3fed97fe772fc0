# Long campaigns of power cuts; not part of `make test`.
CRASH_CAMPAIGNS := counting script steady flips steps
.PHONY: $(addprefix crash-,$(CRASH_CAMPAIGNS))
crash: $(addprefix crash-,$(CRASH_CAMPAIGNS))
$(addprefix crash-,$(CRASH_CAMPAIGNS)): crash-%: build
	Tests/Crash/$*.sh
