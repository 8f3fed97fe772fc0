# redis-server and redis-cli in one machine.
redis-server --port 16379 --save "" --logfile /tmp/evertree-redis.log &
server=$!
cli() { redis-cli -p 16379 "$@"; }
until cli ping 2>/dev/null | grep -q PONG; do
    kill -0 $server || { echo "no answer"; cat /tmp/evertree-redis.log; exit 1; }
    sleep 0.1
done
cli set key value; cli get key; cli incr n; cli incr n
cli lpush list a b c; cli lrange list 0 -1
printf 'set a 1\nget a\ndel a\nget a\n' | cli
redis-benchmark -p 16379 -c 50 -n 2000 -t set,get -q | tr '\r' '\n' | grep -c 'requests per second'
redis-benchmark -p 16379 -c 5 -P 16 -n 2000 -t incr -q | tr '\r' '\n' | grep -c 'requests per second'
cli get counter:__rand_int__
cli shutdown nosave
wait $server
echo "status $?"
