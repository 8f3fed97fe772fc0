# memcached with four threads, spoken to by hand.
memcached -u root -l 127.0.0.1 -p 16211 -t 4 &
server=$!
speak() { printf "$1" | nc 127.0.0.1 16211; }
until speak 'version\r\nquit\r\n' 2>/dev/null | grep -q VERSION; do
    kill -0 $server || { echo "no answer"; exit 1; }
    sleep 0.1
done
speak 'set k 0 0 5\r\nhello\r\nget k\r\nincr x 1\r\nset x 0 0 1\r\n7\r\nincr x 5\r\nquit\r\n'
for i in 1 2 3 4 5 6 7 8; do speak "set k$i 0 0 1\r\n$i\r\nquit\r\n"; done
speak 'get k1 k2 k8 k9\r\nflush_all\r\nget k1\r\nquit\r\n'
kill $server
wait $server
echo end
