"""Plain TCP: answers of one turn are sent together at its end, past the transport while that has nothing queued."""

from __future__ import annotations

from twisted.internet import tcp
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from cspd.http.config import Limits
from cspd.http.connection import SENT_TOGETHER, State
from cspd.http.message import Request, Response, Route
from cspd.http.outbox import AT_ONCE, Outbox
from cspd.turns import EndOfTurn
from tests.unit.http.conversation import Client, Server, Wire, get, statuses


class Socket(Wire, tcp.Server):
    """A TCP transport whose kernel has room for ``room`` octets."""

    def __init__(self) -> None:
        super().__init__()
        self.room = 1 << 30
        self.sends: list[bytes] = []
        self.is_broken = False

    def writeSomeData(self, data: bytes) -> int | Exception:
        if self.is_broken:
            return ConnectionLost()
        sent = data[: self.room]
        self.room -= len(sent)
        self.sends.append(sent)
        return len(sent)

    @property
    def sent(self) -> bytes:
        return b"".join(self.sends)

    @property
    def queued(self) -> bytes:
        return self.value()


def connect(server: Server) -> tuple[Client, Socket]:
    socket = Socket()
    return Client(server.factory, socket), socket


def test_answers_are_sent_at_the_end_of_the_turn() -> None:
    server = Server()
    clients = [connect(server) for _ in range(3)]
    for client, socket in clients:
        client.send(get("/echo?1") + get("/echo?2"))
        assert not socket.sends
    server.time.advance(0)
    for _, socket in clients:
        assert len(socket.sends) == 1, "one send for both answers"
        assert statuses(socket.sent) == [200, 200]
        assert not socket.queued


def test_many_answers_do_not_wait_for_the_end_of_the_turn() -> None:
    server = Server()
    clients = [connect(server) for _ in range(AT_ONCE + 1)]
    for client, _ in clients:
        client.send(get("/echo"))
    assert [statuses(socket.sent) for _, socket in clients] == [[200]] * AT_ONCE + [[]]
    server.time.advance(0)
    assert statuses(clients[-1][1].sent) == [200]


def test_large_answers_to_one_client_do_not_pile_up() -> None:
    async def handle(request: Request) -> Response:
        return Response(200, bytes(SENT_TOGETHER // 2))

    client, socket = connect(Server(Route(methods=("GET",), path="/", handler=handle)))
    client.send(get("/"))
    assert not socket.sends
    client.send(get("/"))
    assert statuses(socket.sent) == [200, 200]


def test_what_the_kernel_does_not_take_goes_to_the_transport_in_order() -> None:
    server = Server()
    client, socket = connect(server)
    socket.room = 20
    client.connection.dataReceived(get("/echo?1"))
    server.time.advance(0)
    client.connection.dataReceived(get("/echo?2"))
    server.time.advance(0)
    assert len(socket.sends) == 1, "not past what is queued"
    assert len(socket.sent) == 20
    whole = socket.sent + socket.queued
    assert whole.index(b"GET /echo?1") < whole.index(b"GET /echo?2")
    assert statuses(whole) == [200, 200]


def test_direct_sends_resume_when_the_queue_is_empty() -> None:
    server = Server()
    client, socket = connect(server)
    socket.room = 20
    client.connection.dataReceived(get("/echo?1"))
    server.time.advance(0)
    client.received()
    socket.room = 1 << 30
    client.connection.resumeProducing()
    client.connection.dataReceived(get("/echo?2"))
    server.time.advance(0)
    assert socket.sends[1].endswith(b"GET /echo?2 ")


def test_client_that_does_not_read_is_not_heard_until_it_does() -> None:
    server = Server()
    client, socket = connect(server)
    socket.room = 20
    socket.write = lambda data: client.connection.pauseProducing()  # type: ignore[method-assign]  # it is full
    client.connection.dataReceived(get("/echo?1"))
    server.time.advance(0)
    client.connection.dataReceived(get("/echo?2"))
    assert len(server.requests) == 1
    server.time.advance(Limits().write_timeout.total_seconds() + 2)
    assert socket.is_aborted


def test_refusal_is_sent_before_the_connection_closes() -> None:
    client, socket = connect(Server())
    client.connection.dataReceived(get("/echo") + b"\x00")
    assert statuses(socket.sent) == [200, 400]
    assert socket.is_half_closed


def test_last_answer_is_sent_before_the_connection_closes() -> None:
    client, socket = connect(Server())
    client.connection.dataReceived(get("/echo", "Connection: close"))
    assert statuses(socket.sent) == [200]
    assert socket.disconnecting


def test_nothing_is_sent_to_a_client_that_has_gone() -> None:
    server = Server()
    for end in (lambda client: client.hang_up(), lambda client: client.connection.abort()):
        client, socket = connect(server)
        client.connection.dataReceived(get("/echo"))
        end(client)
        server.time.advance(0)
        assert not socket.sends


def test_lost_connection_is_left_to_the_transport() -> None:
    server = Server()
    client, socket = connect(server)
    socket.is_broken = True
    client.connection.dataReceived(get("/echo"))
    server.time.advance(0)
    assert statuses(socket.queued) == [200]
    client.connection.connectionLost(Failure(ConnectionLost()))
    assert client.connection._state is State.CLOSING


def test_answer_of_a_handler_that_waited_is_sent_too() -> None:
    server = Server()
    client, socket = connect(server)
    client.connection.dataReceived(get("/wait"))
    server.time.advance(0)
    assert not socket.sends
    server.waiting[0].callback(Response(200))
    server.time.advance(0)
    assert statuses(socket.sent) == [200]


def test_outbox_asks_for_the_end_of_a_turn_once() -> None:
    time = Clock()
    sent: list[int] = []

    class Sender:
        def send_unsent(self) -> None:
            sent.append(len(time.getDelayedCalls()))

    outbox = Outbox(EndOfTurn(time.callLater))
    for _ in range(3):
        outbox.add(Sender())
    assert [call.getTime() for call in time.getDelayedCalls()] == [0]
    time.advance(0)
    assert sent == [0, 0, 0]
