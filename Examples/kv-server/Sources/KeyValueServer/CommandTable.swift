import PersistentHeap

/// What a command is called, how many words it takes, and what it does. A class: it is looked up
/// for each request, and a reference is the cheapest copy.
final class CommandSpec {
    typealias Action = (Store, Request, borrowing Transaction, inout Reply) throws -> Void
    let name: String
    let key: CommandKey
    /// Words with the name: this many, or at least this many if negative.
    let arity: Int
    let run: Action
    let endsConnection: Bool

    init(
        _ name: StaticString, _ arity: Int, endsConnection: Bool = false, _ run: @escaping Action
    ) {
        self.name = name.description
        key = CommandKey(name)
        self.arity = arity
        self.run = run
        self.endsConnection = endsConnection
    }

    func accepts(_ count: Int) -> Bool { arity >= 0 ? count == arity : count >= -arity }
}

/// All commands by name: open addressing, at most a quarter full.
struct CommandTable {
    private var slots: [CommandSpec?]
    let count: Int

    init() {
        let all = CommandSpec.all
        count = all.count
        slots = Array(repeating: nil, count: 512)
        for spec in all { slots[place(of: spec.key)] = spec }
    }

    subscript(key: CommandKey) -> CommandSpec? { slots[place(of: key)] }

    /// Where a command is, or would be.
    private func place(of key: CommandKey) -> Int {
        var place = key.hash & (slots.count - 1)
        while let spec = slots[place], spec.key != key { place = (place + 1) & (slots.count - 1) }
        return place
    }
}

extension CommandSpec {
    static var all: [CommandSpec] {
        server + keys + strings + lists + hashes + sets + sortedSets
    }

    private static var server: [CommandSpec] {
        [
            CommandSpec("PING", -1) { try $0.ping($1, &$3) },
            CommandSpec("ECHO", 2) { $3.bulk($1[1]) },
            CommandSpec("QUIT", -1, endsConnection: true) { $3.ok() },
            CommandSpec("SELECT", 2) { try $0.select($1, &$3) },
            CommandSpec("COMMAND", -1) { $0.command($1, &$3) },
            CommandSpec("CONFIG", -2) { try $0.config($1, &$3) },
            CommandSpec("CLIENT", -2) { $0.client($1, &$3) },
            CommandSpec("INFO", -1) { $0.info($2, &$3) },
            CommandSpec("DBSIZE", 1) { $3.integer($2.edit($0.root).items.count) },
            CommandSpec("FLUSHALL", -1) { try $0.flushAll($1, $2, &$3) },
            CommandSpec("FLUSHDB", -1) { try $0.flushAll($1, $2, &$3) },
            // Everything acknowledged is durable already.
            CommandSpec("SAVE", 1) { $3.ok() },
        ]
    }

    private static var keys: [CommandSpec] {
        [
            CommandSpec("DEL", -2) { $0.delete($1, $2, &$3) },
            CommandSpec("UNLINK", -2) { $0.delete($1, $2, &$3) },
            CommandSpec("EXISTS", -2) { $0.exists($1, $2, &$3) },
            CommandSpec("TYPE", 2) { $0.type($1, $2, &$3) },
            CommandSpec("KEYS", 2) { $0.keys($1, $2, &$3) },
            CommandSpec("EXPIRE", -3) {
                try $0.expire($1, unit: 1000, isSpan: true, "expire", $2, &$3)
            },
            CommandSpec("PEXPIRE", -3) {
                try $0.expire($1, unit: 1, isSpan: true, "pexpire", $2, &$3)
            },
            CommandSpec("EXPIREAT", -3) {
                try $0.expire($1, unit: 1000, isSpan: false, "expireat", $2, &$3)
            },
            CommandSpec("PEXPIREAT", -3) {
                try $0.expire($1, unit: 1, isSpan: false, "pexpireat", $2, &$3)
            },
            CommandSpec("TTL", 2) { $0.timeToLive($1, unit: 1000, $2, &$3) },
            CommandSpec("PTTL", 2) { $0.timeToLive($1, unit: 1, $2, &$3) },
            CommandSpec("PERSIST", 2) { $0.persist($1, $2, &$3) },
        ]
    }

    private static var strings: [CommandSpec] {
        [
            CommandSpec("GET", 2) { try $0.get($1, $2, &$3) },
            CommandSpec("SET", -3) { try $0.set($1, $2, &$3) },
            CommandSpec("SETNX", 3) { try $0.setIfAbsent($1, $2, &$3) },
            CommandSpec("SETEX", 4) { try $0.setExpiring($1, unit: 1000, "setex", $2, &$3) },
            CommandSpec("PSETEX", 4) { try $0.setExpiring($1, unit: 1, "psetex", $2, &$3) },
            CommandSpec("GETSET", 3) { try $0.getAndSet($1, $2, &$3) },
            CommandSpec("GETDEL", 2) { try $0.getAndDelete($1, $2, &$3) },
            CommandSpec("MGET", -2) { $0.getMany($1, $2, &$3) },
            CommandSpec("MSET", -3) { try $0.setMany($1, $2, &$3) },
            CommandSpec("APPEND", 3) { try $0.append($1, $2, &$3) },
            CommandSpec("STRLEN", 2) { try $0.stringLength($1, $2, &$3) },
            CommandSpec("INCR", 2) { try $0.increment($1, by: 1, $2, &$3) },
            CommandSpec("DECR", 2) { try $0.increment($1, by: -1, $2, &$3) },
            CommandSpec("INCRBY", 3) { try $0.increment($1, by: $1.integer(2), $2, &$3) },
            CommandSpec("DECRBY", 3) { try $0.decrement($1, $2, &$3) },
        ]
    }

    private static var lists: [CommandSpec] {
        [
            CommandSpec("LPUSH", -3) { try $0.push($1, atHead: true, makes: true, $2, &$3) },
            CommandSpec("RPUSH", -3) { try $0.push($1, atHead: false, makes: true, $2, &$3) },
            CommandSpec("LPUSHX", -3) { try $0.push($1, atHead: true, makes: false, $2, &$3) },
            CommandSpec("RPUSHX", -3) { try $0.push($1, atHead: false, makes: false, $2, &$3) },
            CommandSpec("LPOP", -2) { try $0.pop($1, fromHead: true, "lpop", $2, &$3) },
            CommandSpec("RPOP", -2) { try $0.pop($1, fromHead: false, "rpop", $2, &$3) },
            CommandSpec("LLEN", 2) { try $0.listLength($1, $2, &$3) },
            CommandSpec("LRANGE", 4) { try $0.listRange($1, $2, &$3) },
            CommandSpec("LINDEX", 3) { try $0.listIndex($1, $2, &$3) },
            CommandSpec("LSET", 4) { try $0.listSet($1, $2, &$3) },
        ]
    }

    private static var hashes: [CommandSpec] {
        [
            CommandSpec("HSET", -4) { try $0.hashSet($1, "hset", $2, &$3) },
            CommandSpec("HMSET", -4) { try $0.hashSet($1, "hmset", $2, &$3) },
            CommandSpec("HSETNX", 4) { try $0.hashSetIfAbsent($1, $2, &$3) },
            CommandSpec("HGET", 3) { try $0.hashGet($1, $2, &$3) },
            CommandSpec("HMGET", -3) { try $0.hashGetMany($1, $2, &$3) },
            CommandSpec("HDEL", -3) { try $0.hashDelete($1, $2, &$3) },
            CommandSpec("HLEN", 2) { try $0.hashLength($1, $2, &$3) },
            CommandSpec("HEXISTS", 3) { try $0.hashExists($1, $2, &$3) },
            CommandSpec("HGETALL", 2) { try $0.hashAll($1, names: true, values: true, $2, &$3) },
            CommandSpec("HKEYS", 2) { try $0.hashAll($1, names: true, values: false, $2, &$3) },
            CommandSpec("HVALS", 2) { try $0.hashAll($1, names: false, values: true, $2, &$3) },
            CommandSpec("HINCRBY", 4) { try $0.hashIncrement($1, $2, &$3) },
        ]
    }

    private static var sets: [CommandSpec] {
        [
            CommandSpec("SADD", -3) { try $0.setAdd($1, $2, &$3) },
            CommandSpec("SREM", -3) { try $0.setRemove($1, $2, &$3) },
            CommandSpec("SISMEMBER", 3) { try $0.setContains($1, $2, &$3) },
            CommandSpec("SCARD", 2) { try $0.setCount($1, $2, &$3) },
            CommandSpec("SMEMBERS", 2) { try $0.setMembers($1, $2, &$3) },
            CommandSpec("SPOP", -2) { try $0.setPop($1, $2, &$3) },
            CommandSpec("SRANDMEMBER", 2) { try $0.setRandom($1, $2, &$3) },
        ]
    }

    private static var sortedSets: [CommandSpec] {
        [
            CommandSpec("ZADD", -4) { try $0.sortedSetAdd($1, $2, &$3) },
            CommandSpec("ZINCRBY", 4) { try $0.sortedSetIncrement($1, $2, &$3) },
            CommandSpec("ZREM", -3) { try $0.sortedSetRemove($1, $2, &$3) },
            CommandSpec("ZSCORE", 3) { try $0.sortedSetScore($1, $2, &$3) },
            CommandSpec("ZCARD", 2) { try $0.sortedSetCount($1, $2, &$3) },
            CommandSpec("ZCOUNT", 4) { try $0.sortedSetCountBetween($1, $2, &$3) },
            CommandSpec("ZRANK", 3) { try $0.sortedSetRank($1, reversed: false, $2, &$3) },
            CommandSpec("ZREVRANK", 3) { try $0.sortedSetRank($1, reversed: true, $2, &$3) },
            CommandSpec("ZRANGE", -4) { try $0.sortedSetRange($1, reversed: false, $2, &$3) },
            CommandSpec("ZREVRANGE", -4) { try $0.sortedSetRange($1, reversed: true, $2, &$3) },
            CommandSpec("ZRANGEBYSCORE", -4) { try $0.sortedSetRangeByScore($1, $2, &$3) },
            CommandSpec("ZPOPMIN", -2) { try $0.sortedSetPop($1, fromTop: false, $2, &$3) },
            CommandSpec("ZPOPMAX", -2) { try $0.sortedSetPop($1, fromTop: true, $2, &$3) },
        ]
    }
}
