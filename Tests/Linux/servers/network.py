# Python's own network modules against each other: http, asyncio over TCP, UNIX and UDP, descriptors in messages.
import asyncio
import http.client
import http.server
import os
import socket
import threading
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"hello " + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/x").read())
connection = http.client.HTTPConnection("localhost", server.server_port)
for number in range(5):
    connection.request("GET", f"/{number}")
    print(connection.getresponse().read())
server.shutdown()


async def echo(reader, writer):
    while data := await reader.read(100000):
        writer.write(data)
        await writer.drain()
    writer.close()


async def one_client(port, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = bytes([number]) * 300000

    async def feed():
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    task = asyncio.create_task(feed())
    got = await reader.read(-1)
    await task
    writer.close()
    return got == data


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.first = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, address):
        self.first.set_result(data)


async def main():
    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    print(sum(await asyncio.gather(*[one_client(port, number) for number in range(20)])))
    tcp.close()
    child = await asyncio.create_subprocess_exec(
        "/bin/busybox", "echo", "child", stdout=asyncio.subprocess.PIPE)
    print(await child.communicate())
    await asyncio.start_unix_server(echo, "/tmp/evertree-network.socket")
    reader, writer = await asyncio.open_unix_connection("/tmp/evertree-network.socket")
    writer.write(b"unix")
    writer.write_eof()
    print(await reader.read())
    os.unlink("/tmp/evertree-network.socket")
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Datagrams, local_addr=("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b"datagram", transport.get_extra_info("sockname"))
    print(await protocol.first)


asyncio.run(main())
left, right = socket.socketpair()
reading, writing = os.pipe()
socket.send_fds(left, [b"m"], [writing])
_, descriptors, _, _ = socket.recv_fds(right, 10, 4)
os.write(descriptors[0], b"through")
print(os.read(reading, 10))
print(socket.getaddrinfo("localhost", 80, socket.AF_INET, socket.SOCK_STREAM)[0][4])
try:
    socket.create_connection(("127.0.0.1", 1), 2)
except OSError as error:
    print(error.errno)
