# SPDX-License-Identifier: BSD-2-Clause
"""The client's memory, and commands that a server may leave out."""
import errno
import os
import socket
import struct

from clauses import clause
from protocol import DMA_MAP, DMA_UNMAP, ERROR, FEATURE, MIG_READ, MIG_WRITE, Closed, need, memory

BASE, SIZE = 0x100000000, 0x10000


def body(address=BASE, size=SIZE, offset=0, flags=3, argsz=32):
    return struct.pack('=IIQQQ', argsz, flags, offset, address, size)


@clause('dma.map', 'memory with a file descriptor can be mapped and unmapped; neither reply to DMA_MAP has a body')
def _(t):
    with t.connect() as c, memory(SIZE) as fd:
        reply = c.good(*c.map(BASE, SIZE, fd))
        need(reply.size == 16, f'the reply to DMA_MAP has {reply.size} bytes')
        reply = c.good(*c.unmap(BASE, SIZE))
        need(len(reply.payload) == 24, f'the reply to DMA_UNMAP has {len(reply.payload)} bytes of body instead of 24')
        need(struct.unpack_from('=QQ', reply.payload, 8) == (BASE, SIZE), 'the reply is of another range')


@clause('dma.no-fd', 'memory without a file descriptor can be mapped and unmapped')
def _(t):
    with t.connect() as c:
        c.good(*c.map(BASE, SIZE))
        c.good(*c.unmap(BASE, SIZE))


@clause('dma.flags', 'memory can be mapped for reading or writing alone')
def _(t):
    with t.connect() as c, memory(SIZE) as fd:
        for flags in (1, 2, 3):
            c.good(*c.map(BASE, SIZE, fd, flags=flags))
            c.good(*c.unmap(BASE, SIZE))


@clause('dma.unknown-flags', 'unknown flags are refused', 'should')
def _(t):
    with t.connect() as c, memory(SIZE) as fd:
        c.error(*c.map(BASE, SIZE, fd, flags=0x80000003), what='flags 0x80000003')


@clause('dma.exists', 'a map over another one fails with EEXIST')
def _(t):
    with t.connect() as c, memory(SIZE * 4) as fd:
        c.good(*c.map(BASE, SIZE * 2, fd))
        for address, size in ((BASE, SIZE), (BASE + SIZE, SIZE * 2), (BASE - SIZE, SIZE * 2), (BASE - SIZE, SIZE * 4),
                              (BASE, SIZE * 2)):
            reply = c.error(*c.map(address, size, fd), what=f'a map of {address:#x}+{size:#x} over another')
            need(reply.error == errno.EEXIST, f'it fails with error {reply.error} instead of EEXIST')
        c.good(*c.map(BASE + SIZE * 2, SIZE, fd))


@clause('dma.range', 'a map of no bytes, or past the end of the address space, is refused')
def _(t):
    with t.connect() as c, memory(SIZE) as fd:
        for address, size in ((BASE, 0), (0xfffffffffffff000, 0x2000), (0x1000, 0xffffffffffffffff),
                              (1 << 63, 1 << 63 | 0x1000)):
            c.error(*c.map(address, size, fd), what=f'a map of {address:#x}+{size:#x}')


@clause('dma.offset', 'a file offset that wraps is refused')
def _(t):
    with t.connect() as c, memory(SIZE) as fd:
        c.error(*c.map(BASE, SIZE, fd, offset=0xfffffffffffff000), what='file offset 0xfffffffffffff000')


@clause('dma.short', 'DMA_MAP with a small argsz or a body that is too short is refused')
def _(t):
    with t.connect() as c:
        c.error(DMA_MAP, body(argsz=31), what='argsz 31')
        c.error(DMA_MAP, body()[:24], what='a body of 24 bytes')
        c.error(DMA_UNMAP, b'\0' * 16, what='a DMA_UNMAP of 16 bytes')


@clause('dma.two-fds', 'two file descriptors with one map are refused')
def _(t):
    with t.connect() as c, memory(SIZE) as fd:
        c.refused(DMA_MAP, body(), [fd, fd], what='a map with two file descriptors')


@clause('dma.small-file', 'a map that is larger than its file does no harm', 'should')
def _(t):
    with t.connect() as c, memory(4096) as fd:
        reply = c.call(*c.map(BASE, SIZE, fd))
        if not reply.flags & ERROR:
            c.good(*c.unmap(BASE, SIZE))
        c.alive('a map that is larger than its file')


@clause('dma.truncated', 'a file that is cut after it was mapped does no harm', 'should')
def _(t):
    with t.connect() as c, memory(SIZE) as fd:
        c.good(*c.map(BASE, SIZE, fd))
        os.ftruncate(fd, 0)
        c.alive('a file that was cut')
        c.good(*c.unmap(BASE, SIZE))


@clause('dma.wrong-fd', 'a file descriptor that cannot be mapped is refused', 'should')
def _(t):
    left, right = socket.socketpair()
    with t.connect() as c, left, right:
        c.error(*c.map(BASE, SIZE, left.fileno()), what='a socket in place of memory')


@clause('dma.unmap-unknown', 'an unmap must be of exactly what was mapped')
def _(t):
    with t.connect() as c, memory(SIZE) as fd:
        c.error(*c.unmap(BASE, SIZE), what='an unmap of nothing')
        c.good(*c.map(BASE, SIZE, fd))
        for address, size in ((BASE, SIZE // 2), (BASE + SIZE // 2, SIZE // 2), (BASE, SIZE * 2)):
            c.error(*c.unmap(address, size), what=f'an unmap of {address:#x}+{size:#x}')
        c.good(*c.unmap(BASE, SIZE))
        c.error(*c.unmap(BASE, SIZE), what='a second unmap')


@clause('dma.unmap-all', 'DMA_UNMAP with ALL takes everything off', 'should')
def _(t):
    with t.connect() as c, memory(SIZE * 4) as fd:
        for n in range(4):
            c.good(*c.map(BASE + n * SIZE, SIZE, fd, offset=n * SIZE))
        c.error(*c.unmap(BASE, SIZE, flags=2), what='ALL with an address and a size')
        c.good(*c.unmap(0, 0, flags=2))
        for n in range(4):
            c.good(*c.map(BASE + n * SIZE, SIZE, fd, offset=n * SIZE))


@clause('dma.gone', 'the maps of a client end with its connection')
def _(t):
    with memory(SIZE) as fd:
        for _ in range(3):
            with t.connect() as c:
                c.good(*c.map(BASE, SIZE, fd))


@clause('dma.bounded', 'no more maps than max_dma_maps are taken')
def _(t):
    with t.connect() as c, memory(4096) as fd:
        limit = c.capabilities.get('max_dma_maps', 65535)
        for n in range(limit + 1):
            reply = c.call(*c.map(BASE + n * 8192, 4096, fd))
            if reply.flags & ERROR:
                break
        else:
            need(False, f'{limit + 1} maps are taken; the server offers {limit}')
        c.good(*c.unmap(BASE, 4096))


@clause('feature.probe', 'DEVICE_FEATURE refuses a feature that it does not know')
def _(t):
    with t.connect() as c:
        for flags in (0x0000ffff | 1 << 18, 0x0000fffe | 1 << 16, 0xffffffff):
            c.error(FEATURE, struct.pack('=II', 4096, flags), what=f'flags {flags:#x}')
        c.error(FEATURE, b'\0\0', what='a body of 2 bytes')


@clause('migration.unasked', 'migration data is refused while nothing migrates')
def _(t):
    with t.connect() as c:
        c.error(MIG_READ, struct.pack('=II', 4096, 4096), what='MIG_DATA_READ')
        c.error(MIG_WRITE, struct.pack('=II', 16, 8) + b'\0' * 8, what='MIG_DATA_WRITE')
