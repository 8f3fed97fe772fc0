import ABI
import Kernel
import Store

extension KernelWorld {
    public func startProbing() {
        if probing.stride == 0 { return }
        nvm.onStep = { [unowned self] step in
            probe(step)
            nvm.nextStop = nvm.steps + 1 + UInt64(random.below(Int(2 * probing.stride)))
        }
        nvm.nextStop = nvm.steps + 1 + UInt64(random.below(Int(2 * probing.stride)))
    }

    public func stopProbing() {
        nvm.onStep = nil
        nvm.nextStop = .max
    }

    private func probe(_ step: SimulatedNVM.Step) {
        let choices = nvm.crashChoices
        if choices.words.isEmpty { return crash(.all, choices) }
        switch random.below(6) {
        case 0: crash(.none, choices)
        case 1: crash(.all, choices)
        case 2: crash(.only(random.below(choices.words.count)), choices)
        case 3: crash(.allBut(random.below(choices.words.count)), choices)
        default: crash(.random(random.next()), choices)
        }
    }

    private func crash(_ survival: Survival, _ choices: CrashChoices) {
        log.noteCrash(depth: depth)
        let failures = log.messages.count
        let seed = random.next()
        let seen = OutsideWorld.visible(nvm)
        nvm.withCrash(survival, choices) { recover(seed, seen: seen) }
        if log.messages.count > failures { report("  … after a crash with survival \(survival)") }
    }

    private func recover(_ seed: UInt64, seen: UInt64) {
        if probing.checksTables {
            let report = StoreChecker.check(nvm)
            if !report.isGood { self.report("check after a crash: \(report.damage)") }
        }
        do throws(StoreError) {
            let world = try KernelWorld(recovering: nvm, of: self, depth: depth + 1, seed: seed) {
                world in
                world.probing = probing
                world.probing.stride = probing.stride * 3
                if depth + 1 < probing.nesting { world.startProbing() }
            }
            compare(world, seen: seen)
            if !world.isHalted && probing.stepsAfter > 0 {
                for _ in 0..<probing.stepsAfter where log.isEmpty { world.step() }
            }
            world.stopProbing()
            world.close()
        } catch {
            report("restore refused: \(error)")
        }
    }

    /// The restored world against what is known of its version.
    private func compare(_ world: KernelWorld, seen: UInt64) {
        let version = world.kernel.pointee.store.committed.value
        let digest = world.digest()
        if version == committed.version {
            if version != 0 && committed.digest != nil { log.compared += 1 }
            if version != 0, let known = committed.digest, known != digest {
                report("version \(version) came back different")
                explain(restored: world.described, committed: committedWords)
            }
            world.committed = committed
        } else if isInKernel && version > committed.version {
            early.append((version, digest, nvm.steps, world.described))
            world.committed = (version, digest)
            world.committedWords = world.described
        } else {
            report("version \(version) was restored, \(committed.version) was committed")
        }
        if let wrong = world.outside.check(nvm, seen: seen) { report(wrong) }
        if version != 0, random.chance(1, in: 4),
            let broken = world.kernel.pointee.checkInvariants()
        {
            report("after a restore: \(broken)")
        }
    }

    /// Cuts the power for good between two steps, and goes on from what is left.
    public func crashForGood() throws(StoreError) -> KernelWorld {
        stopProbing()
        let seen = OutsideWorld.visible(nvm)
        nvm.crash(.random(random.next()))
        let next = try KernelWorld(recovering: nvm, of: self, depth: depth, seed: random.next()) {
            $0.probing = probing
        }
        compare(next, seen: seen)
        next.startProbing()
        close()
        return next
    }
}
