# The simulated machine: the real store and kernel, crashed everywhere. See Simulation/README.md.
# A scratch folder of its own, since it is compiled across modules: twice as fast.
SIM_BUILD := swift build -c release --scratch-path .build/sim -Xswiftc -cross-module-optimization \
	-Xswiftc -enforce-exclusivity=unchecked $(ASSERTIONS) --product evertree-sim
SIM := .build/sim/release/evertree-sim

.PHONY: sim sim-build sim-bugs sim-mutations test-sim
sim-build:
	$(SIM_BUILD)

# 100,000 seeds in two halves, one on each of two cores; then a million damaged stores.
#: sim: 100,000 seeds of the simulated machine, a million damaged stores
sim: sim-build
	Simulation/campaign $(SIM) 100000
	$(SIM) mutate --count 1000000

# A thousand seeds, the kept ones among them, and some damage.
test: test-sim
test-sim: sim-build
	Simulation/campaign $(SIM) 1000
	while read -r words; do $(SIM) $$words || exit 1; done < <(grep -v '^#' Simulation/seeds/seeds.txt)
	$(SIM) mutate --count 20000

# Every planted bug must be caught, each within 10,000 seeds.
#: sim-bugs: puts each planted bug into a copy of the sources and counts the seeds until it is caught
sim-bugs: sim-build
	mkdir -p .build/planted
	$(SIM) plant . .build/planted > .build/planted/names
	EVERTREE_BUILD=core swift build -c release --package-path .build/planted -Xswiftc -DEVERTREE_PLANTED_BUGS \
		$(ASSERTIONS) --product evertree-sim
	Simulation/catch-bugs .build/planted/.build/release/evertree-sim .build/planted/names

fuzz: sim
