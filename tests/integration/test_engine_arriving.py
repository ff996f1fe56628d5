"""Bodies that are sent while they arrive, over real sockets and TLS: pace, early answers, ends."""

from __future__ import annotations

from relay.errors import UpstreamUnreachable
from relay.web.arriving import QUEUE, Arrival, ArrivingBody
from tests.integration.faults import Asked, Peer, answer
from tests.integration.test_engine_upstream import EngineCase

BLOCK = bytes(range(256)) * 256
BLOCKS = 320
SIZE = BLOCKS * len(BLOCK)
MOMENTS = 100


class EngineArrivingTests(EngineCase):
    """A client is played by the test; it heeds its pauses."""

    def setUp(self) -> None:
        """Nothing has come yet."""
        super().setUp()
        self.paused = False
        self.arrival = Arrival(b"", pause=self.pause, resume=self.resume)

    def pause(self) -> None:
        """The client has to wait."""
        self.paused = True

    def resume(self) -> None:
        """The client may go on."""
        self.paused = False

    async def arrive(self, size: int) -> int:
        """Have so many bytes come, or as many as are taken before nobody takes any for a while; how many it were."""
        come = idle = 0
        while come < size and idle < MOMENTS:
            if self.paused:
                idle += 1
                await self.moment(0.005)
            else:
                self.arrival.write(BLOCK)
                come, idle = come + len(BLOCK), 0
        return come

    async def test_backpressure(self) -> None:
        """A provider that does not read pauses the client; then it reads on, and gets everything."""
        self.server.on_head = lambda peer, _: peer.stop_reading()
        self.server.reply(answer(b"ok"))
        waiting = self.send(body=ArrivingBody(self.arrival, SIZE), total=30.0)
        come = await self.arrive(SIZE)
        self.assertLess(come, SIZE)
        self.assertLessEqual(len(self.arrival._waiting), QUEUE + len(BLOCK))
        self.server.peers[0].go_on_reading()
        self.assertEqual(await self.arrive(SIZE - come), SIZE - come)
        self.arrival.finish()
        response = await waiting
        self.assertEqual((response.status, await response.read(10)), (200, b"ok"))
        self.assertEqual(self.server.asked[0].body, BLOCK * BLOCKS)

    async def test_answerWhileSending(self) -> None:
        """An early answer is passed on; the rest is taken from the client, and goes nowhere."""

        def script(peer: Peer, _: Asked) -> None:
            peer.stop_reading()
            peer.send(answer(b"too large", 413))

        self.server.on_head = script
        waiting = self.send(body=ArrivingBody(self.arrival, SIZE))
        response = await waiting
        self.assertEqual((response.status, await response.read(10)), (413, b"too large"))
        self.assertEqual(await self.arrive(SIZE), SIZE)
        self.server.peers[0].go_on_reading()
        await self.server.all_closed()

    async def test_reset(self) -> None:
        """A provider that resets in the middle is told, and not asked again."""
        self.server.on_head = lambda peer, _: peer.later(peer.reset)
        waiting = self.send(body=ArrivingBody(self.arrival, SIZE))
        failing = self.fails(UpstreamUnreachable, waiting)
        await self.arrive(SIZE)
        await failing
        await self.server.all_closed()
        self.assertEqual(len(self.server.peers), 1)

    async def test_givenUp(self) -> None:
        """Who gives up leaves the provider with less than was announced."""
        waiting = self.send(body=ArrivingBody(self.arrival, SIZE))
        await self.arrive(10 * len(BLOCK))
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        await self.server.all_closed()
        self.assertEqual(self.server.asked, [])


class EngineSecureArrivingTests(EngineArrivingTests):
    """The same over TLS."""

    tls = True
