"""A line to a service on loopback with a round trip time and a bandwidth: what is sent arrives half a round trip later, in
order, and no faster than the bandwidth, which all connections share; a new connection costs one round trip more.

    line.py http://127.0.0.1:8333 RTT_MS MBIT      (MBIT 0: as fast as it goes)

Prints the address at which it listens; ends on SIGTERM."""
import asyncio
import sys
import urllib.parse

CHUNK = 64 << 10


class Pace:
    """Shares a bandwidth: each chunk takes its time on the line after those before it."""

    def __init__(self, mbit: int):
        self.rate, self.free = mbit * 125_000, 0.0

    def leaves(self, now: float, size: int) -> float:
        if not self.rate:
            return now
        self.free = max(self.free, now) + size / self.rate
        return self.free


async def carry(reader, writer, delay: float, pace: Pace):
    loop = asyncio.get_running_loop()
    on_the_way = asyncio.Queue(maxsize=256)

    async def deliver():
        while (item := await on_the_way.get()) is not None:
            when, data = item
            if (wait := when - loop.time()) > 0:
                await asyncio.sleep(wait)
            writer.write(data)
            await writer.drain()
        writer.close()

    delivery = asyncio.create_task(deliver())
    try:
        while data := await reader.read(CHUNK):
            await on_the_way.put((pace.leaves(loop.time(), len(data)) + delay, data))
    except ConnectionError:
        pass
    await on_the_way.put(None)
    try:
        await delivery
    except ConnectionError:
        pass


async def main(upstream: str, rtt_ms: int, mbit: int):
    service = urllib.parse.urlsplit(upstream)
    up, down, half = Pace(mbit), Pace(mbit), rtt_ms / 2000

    async def connection(reader, writer):
        await asyncio.sleep(2 * half)
        try:
            there, back = await asyncio.open_connection(service.hostname, service.port, limit=CHUNK)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, back, half, up), carry(there, writer, half, down))

    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=CHUNK)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    except KeyboardInterrupt:
        pass
