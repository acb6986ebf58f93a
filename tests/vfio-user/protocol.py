# SPDX-License-Identifier: BSD-2-Clause
"""One vfio-user connection as a client sees it: messages are sent as they are given, right or wrong."""
import array
import collections
import json
import os
import select
import socket
import struct
import time

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS, GET_IRQ_INFO = 1, 2, 3, 4, 5, 6, 7
SET_IRQS, REGION_READ, REGION_WRITE, DMA_READ, DMA_WRITE, RESET = 8, 9, 10, 11, 12, 13
WRITE_MULTI, FEATURE, MIG_READ, MIG_WRITE = 15, 16, 17, 18

REPLY, NO_REPLY, ERROR = 0x1, 0x10, 0x20

CONFIG = 7
R_READ, R_WRITE, R_MMAP, R_CAPS = 1, 2, 4, 8
CAP_SPARSE = 1

DATA_NONE, DATA_BOOL, DATA_EVENTFD, ACT_MASK, ACT_UNMASK, ACT_TRIGGER = 1, 2, 4, 8, 16, 32
I_EVENTFD, I_MASKABLE = 1, 2

HEADER = struct.Struct('=HHIII')
PROPOSAL = {'max_msg_fds': 16, 'max_data_xfer_size': 1 << 20, 'max_dma_maps': 65535, 'pgsizes': 4096,
            'write_multiple': True}

Message = collections.namedtuple('Message', 'id command size flags error payload fds')
Region = collections.namedtuple('Region', 'argsz flags index cap_offset size offset payload fds')
Irq = collections.namedtuple('Irq', 'argsz flags index count')


class Closed(Exception):
    """The server closed the connection."""


class Failed(Exception):
    """The server broke the clause."""


class Skipped(Exception):
    """The device or the server does not have what the clause is about."""


def need(condition, text):
    if not condition:
        raise Failed(text)


class Connection:
    """A connection, negotiated unless `raw`. Use it in a `with`: that closes it and all fds it received."""

    def __init__(self, path, timeout, raw=False, proposal=PROPOSAL):
        self.timeout = timeout
        self.next_id = 1
        self.fds = []
        self.read_ahead = b''
        self.ahead_fds = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        end = time.monotonic() + timeout
        while True:
            try:
                self.sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                if time.monotonic() > end:
                    self.sock.close()
                    raise Failed(f'nobody accepts connections at {path}') from None
                time.sleep(0.01)
        self.capabilities = {}
        self.minor = 0
        if not raw:
            reply = self.version(proposal=proposal)
            need(not reply.flags & ERROR, f'VERSION is refused with error {reply.error}')
            self.minor = struct.unpack_from('=H', reply.payload, 2)[0]
            text = reply.payload[4:].split(b'\0')[0]
            self.capabilities = json.loads(text).get('capabilities', {}) if text else {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        self.sock.close()

    # ---- messages ----

    def raw(self, data, fds=()):
        """Sends bytes as they are; fds go with the first of them."""
        try:
            if fds:
                sent = self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
                data = data[sent:]
            if data:
                self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed('the server closed the connection while a message was sent') from None

    def message(self, command, payload=b'', flags=0, ident=None, size=None, error=0):
        if ident is None:
            ident = self.next_id
            self.next_id = (self.next_id + 1) & 0xffff
        return HEADER.pack(ident, command, len(payload) + 16 if size is None else size, flags, error) + payload

    def send(self, command, payload=b'', fds=(), **header):
        data = self.message(command, payload, **header)
        self.raw(data, fds)
        return HEADER.unpack_from(data)[0]

    def _bytes(self, count):
        while len(self.read_ahead) < count:
            try:
                data, control, _, _ = self.sock.recvmsg(1 << 16, socket.CMSG_SPACE(64 * 4))
            except socket.timeout:
                raise Failed(f'no answer within {self.timeout:g} s') from None
            except ConnectionResetError:
                raise Closed('the server closed the connection') from None
            for level, kind, body in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    got = array.array('i')
                    got.frombytes(body[:len(body) // got.itemsize * got.itemsize])
                    self.fds += got
                    self.ahead_fds += got
            if not data:
                raise Closed('the server closed the connection')
            self.read_ahead += data
        taken, self.read_ahead = self.read_ahead[:count], self.read_ahead[count:]
        return taken

    def receive(self):
        ident, command, size, flags, error = HEADER.unpack(self._bytes(16))
        need(16 <= size <= (64 << 20) + 32, f'a message of size {size} arrives')
        payload = self._bytes(size - 16)
        fds, self.ahead_fds = self.ahead_fds, []
        return Message(ident, command, size, flags, error, payload, fds)

    def call(self, command, payload=b'', fds=(), **header):
        """Sends a command and returns its reply, whose header is checked."""
        ident = self.send(command, payload, fds, **header)
        reply = self.receive()
        need(reply.flags & 0xf == 1, f'a message that is no reply answers command {command}: flags {reply.flags:#x}')
        need(reply.id == ident, f'the reply to message {ident} has id {reply.id}')
        need(reply.command == command, f'the reply to command {command} is of command {reply.command}')
        need(not reply.flags & ~0x21, f'the reply has unknown flags: {reply.flags:#x}')
        if reply.flags & ERROR:
            need(reply.size == 16, f'an error reply has {reply.size} bytes instead of the header alone')
        return reply

    def good(self, command, payload=b'', fds=(), **header):
        reply = self.call(command, payload, fds, **header)
        need(not reply.flags & ERROR, f'command {command} fails with error {reply.error}')
        return reply

    def refused(self, command, payload=b'', fds=(), what='the request', **header):
        """The server answers with an error, or closes. True if the connection is still there."""
        try:
            reply = self.call(command, payload, fds, **header)
        except Closed:
            return False
        need(reply.flags & ERROR, f'{what} is accepted')
        return True

    def error(self, command, payload=b'', fds=(), what='the request', **header):
        """The server answers with an error, and the connection still works."""
        try:
            reply = self.call(command, payload, fds, **header)
        except Closed:
            raise Failed(f'{what} ends the connection instead of an error reply') from None
        need(reply.flags & ERROR, f'{what} is accepted')
        self.alive(what)
        return reply

    def alive(self, what):
        """The stream is still in step: another command is answered as it should be."""
        try:
            reply = self.call(GET_INFO, struct.pack('=IIII', 16, 0, 0, 0))
        except Closed:
            raise Failed(f'the server closed the connection after {what}') from None
        need(not reply.flags & ERROR and len(reply.payload) == 16, f'the stream is out of step after {what}')

    # ---- commands ----

    def version(self, major=0, minor=1, proposal=PROPOSAL, text=None):
        payload = struct.pack('=HH', major, minor)
        if text is not None:
            payload += text
        elif proposal is not None:
            payload += json.dumps({'capabilities': proposal}).encode() + b'\0'
        return self.call(VERSION, payload)

    def info(self):
        return struct.unpack('=IIII', self.good(GET_INFO, struct.pack('=IIII', 16, 0, 0, 0)).payload)

    def region(self, index, argsz=32):
        reply = self.good(GET_REGION_INFO, struct.pack('=IIIIQQ', argsz, 0, index, 0, 0, 0))
        need(len(reply.payload) >= 32, f'the reply for region {index} has {len(reply.payload)} bytes instead of 32')
        return Region(*struct.unpack_from('=IIIIQQ', reply.payload), reply.payload, reply.fds)

    def whole_region(self, index):
        """The region's information with its capabilities."""
        region = self.region(index)
        if region.argsz > 32:
            region = self.region(index, region.argsz)
        return region

    def areas(self, region):
        """What may be mapped of a region: pairs of offset and size."""
        if not region.flags & R_MMAP:
            return []
        at, seen = region.cap_offset if region.flags & R_CAPS else 0, 0
        while at and seen < 64:
            need(at + 8 <= len(region.payload), f'a capability of region {region.index} lies at {at}, past the reply')
            kind, _, following = struct.unpack_from('=HHI', region.payload, at)
            if kind == CAP_SPARSE:
                count = struct.unpack_from('=I', region.payload, at + 8)[0]
                need(at + 16 + 16 * count <= len(region.payload), f'{count} areas do not fit into the reply')
                return [struct.unpack_from('=QQ', region.payload, at + 16 + 16 * n) for n in range(count)]
            at, seen = following, seen + 1
        return [(0, region.size)]

    def irq(self, index):
        reply = self.good(GET_IRQ_INFO, struct.pack('=IIII', 16, 0, index, 0))
        need(len(reply.payload) == 16, f'the reply for interrupt {index} has {len(reply.payload)} bytes instead of 16')
        return Irq(*struct.unpack('=IIII', reply.payload))

    def read(self, region, offset, count):
        reply = self.good(REGION_READ, struct.pack('=QII', offset, region, count))
        need(len(reply.payload) == 16 + count, f'a read of {count} bytes is answered with {len(reply.payload) - 16}')
        return reply.payload[16:]

    def write(self, region, offset, data, flags=0):
        payload = struct.pack('=QII', offset, region, len(data)) + data
        if flags & NO_REPLY:
            return self.send(REGION_WRITE, payload, flags=flags)
        return self.good(REGION_WRITE, payload, flags=flags)

    def irqs(self, flags, index, start, count, fds=(), data=b'', argsz=None):
        size = 20 + len(data) if argsz is None else argsz
        return SET_IRQS, struct.pack('=IIIII', size, flags, index, start, count) + data, fds

    def map(self, address, size, fd=None, offset=0, flags=3):
        return DMA_MAP, struct.pack('=IIQQQ', 32, flags, offset, address, size), () if fd is None else (fd,)

    def unmap(self, address, size, flags=0):
        return DMA_UNMAP, struct.pack('=IIQQ', 24, flags, address, size)


def fires(fd, timeout):
    """Whether an eventfd is signalled; takes the signal."""
    if not select.select([fd], [], [], timeout)[0]:
        return False
    os.read(fd, 8)
    return True


class eventfds:
    """Some eventfds, for a `with`."""

    def __init__(self, count):
        self.fds = [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(count)]

    def __enter__(self):
        return self.fds

    def __exit__(self, *_):
        for fd in self.fds:
            os.close(fd)


class memory:
    """A memory file of `size` bytes, for a `with`."""

    def __init__(self, size):
        self.fd = os.memfd_create('guest', os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)

    def __enter__(self):
        return self.fd

    def __exit__(self, *_):
        os.close(self.fd)
