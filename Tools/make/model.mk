# The checkpoint protocol as a Promela model, checked exhaustively by Spin (Simulation/Model/README.md).
.PHONY: model spin
#: model: the checkpoint protocol, searched exhaustively by Spin
model: spin
	Simulation/Model/check.sh

test: model

spin:
	@command -v spin >/dev/null || Tools/install-packages.sh spin
