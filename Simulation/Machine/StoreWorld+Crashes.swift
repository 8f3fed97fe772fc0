import ABI
import Store

/// Where a world is crashed, and how thoroughly.
public struct CrashProbing: Sendable {
    /// Every how many steps a crash is tried; 0 = never.
    public var stride: UInt64 = 0
    /// Random survivals per fence in a cache-line domain.
    public var randomSurvivals = 2
    /// Up to this many open words, each alone is lost and each alone is kept.
    public var singles = 12
    /// How many crashes may be nested: crashes in the recovery of a crash.
    public var nesting = 1
    /// Steps made in a recovered world before it is thrown away.
    public var stepsAfter = 0
    /// Whether every committed table is walked and counted.
    public var checksTables = false
    public init() {}
}

extension StoreWorld {
    /// Begins to crash the world at its steps, each time going on afterwards as if nothing had
    /// been.
    public func startProbing() {
        if probing.stride == 0 { return }
        nvm.onStep = { [unowned self] step in
            probe(step)
            nvm.nextStop = nvm.steps + probing.stride
        }
        nvm.nextStop = nvm.steps + 1 + (depth == 0 ? 0 : UInt64(random.below(Int(probing.stride))))
    }

    public func stopProbing() {
        nvm.onStep = nil
        nvm.nextStop = .max
    }

    /// Tries the crashes that this instant allows.
    private func probe(_ step: SimulatedNVM.Step) {
        let choices = nvm.crashChoices
        if choices.words.isEmpty {
            if step != .fence || nvm.domain != .coherentCache { crash(.all, choices) }
            return
        }
        if step == .store {
            crash(.random(random.next()), choices)
            return
        }
        crash(.none, choices)
        crash(.all, choices)
        for _ in 0..<probing.randomSurvivals { crash(.random(random.next()), choices) }
        if choices.words.count > probing.singles { return }
        for word in choices.words.indices {
            crash(.only(word), choices)
            crash(.allBut(word), choices)
        }
    }

    private func crash(_ survival: Survival, _ choices: CrashChoices) {
        log.crashPoints += 1
        var expected = [committedModel]
        if let inFlight { expected.append(inFlight) }
        let failures = log.messages.count
        let seed = random.next()
        nvm.withCrash(survival, choices) { recover(expecting: expected, seed: seed) }
        if log.messages.count > failures {
            log.add("  … after a crash at step \(nvm.steps), depth \(depth), \(survival)")
        }
    }

    private func recover(expecting expected: [WorldModel], seed: UInt64) {
        if probing.checksTables {
            let report = StoreChecker.check(nvm)
            if !report.isGood { log.add("check after a crash: \(report.damage)") }
        }
        do throws(StoreError) {
            let world = try StoreWorld(
                recovering: nvm, expecting: expected, depth: depth + 1, seed: seed, log: log
            ) { world in
                world.probing = probing
                world.hotPages = hotPages
                world.probing.stride = probing.stride * 7
                if depth + 1 < probing.nesting { world.startProbing() }
            }
            for _ in 0..<probing.stepsAfter { world.step() }
            if probing.stepsAfter > 0 { world.verify(world.model) }
            world.stopProbing()
            world.close()
        } catch {
            log.add("restore failed: \(error)")
        }
    }

    /// Cuts the power for good between two steps, and goes on from what is left.
    public func crashForGood() throws(StoreError) -> StoreWorld {
        stopProbing()
        nvm.crash(.random(random.next()))
        store.close()
        let next = try StoreWorld(
            recovering: nvm, expecting: [committedModel], depth: depth, seed: random.next(),
            log: log,
            prepare: {
                $0.probing = probing
                $0.hotPages = hotPages
                $0.startProbing()
            })
        return next
    }
}
