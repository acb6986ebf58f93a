# SPDX-License-Identifier: BSD-2-Clause
"""Regions: what they say of themselves, how they are mapped, read and written."""
import mmap
import struct

from clauses import clause
from protocol import (CAP_SPARSE, CONFIG, ERROR, GET_REGION_INFO, GET_REGION_IO_FDS, R_CAPS, R_MMAP, R_READ, R_WRITE,
                      REGION_READ, REGION_WRITE, WRITE_MULTI, Closed, Failed, Skipped, need)


def request(index, argsz=32):
    return struct.pack('=IIIIQQ', argsz, 0, index, 0, 0, 0)


def access(region, offset, count, data=b''):
    return struct.pack('=QII', offset, region, count) + data


@clause('region.info', 'each region is described: its index, known flags, a size')
def _(t):
    with t.connect() as c:
        for index in range(c.info()[2]):
            reply = c.call(GET_REGION_INFO, request(index))
            if reply.flags & ERROR:
                need(index >= 8, f'region {index} is refused')
                continue
            _, flags, got, _, size, _ = struct.unpack_from('=IIIIQQ', reply.payload)
            need(got == index, f'the reply for region {index} is of region {got}')
            need(not flags & ~0xf, f'region {index} has flags that do not exist: {flags:#x}')
            need(size or not flags & R_MMAP, f'region {index} has no size, but can be mapped')
            need(len(reply.payload) <= 32, f'the reply for region {index} is larger than argsz')


@clause('region.config', 'the config region has 256 or 4096 bytes, can be read and written, and cannot be mapped')
def _(t):
    with t.connect() as c:
        region = c.region(CONFIG)
        need(region.size in (256, 4096), f'it has {region.size} bytes')
        need(region.flags & R_READ and region.flags & R_WRITE, f'its flags are {region.flags:#x}')
        need(not region.flags & R_MMAP, 'it can be mapped')


@clause('region.index', 'a region that does not exist is refused')
def _(t):
    with t.connect() as c:
        for index in (c.info()[2], 0x7fffffff, 0xffffffff):
            c.error(GET_REGION_INFO, request(index), what=f'region {index:#x}')


@clause('region.argsz', 'an argsz below the fixed part, or a body that is too short, is refused')
def _(t):
    with t.connect() as c:
        for argsz in (0, 31):
            c.error(GET_REGION_INFO, request(CONFIG, argsz), what=f'argsz {argsz}')
        c.error(GET_REGION_INFO, request(CONFIG)[:12], what='a body of 12 bytes')


@clause('region.long-request', 'a request may be as long as the reply that it has room for', 'should')
def _(t):
    with t.connect() as c:
        reply = c.good(GET_REGION_INFO, request(CONFIG, 4096) + bytes(4096 - 32))
        need(len(reply.payload) >= 32, f'the reply has {len(reply.payload)} bytes')


@clause('region.retry', 'capabilities that do not fit are left out and argsz says how much is needed; then they come')
def _(t):
    seen = False
    with t.connect() as c:
        for index in range(9):
            reply = c.call(GET_REGION_INFO, request(index))
            if reply.flags & ERROR:
                continue
            argsz, flags, _, cap_offset = struct.unpack_from('=IIII', reply.payload)
            if not flags & R_CAPS:
                need(argsz == 32, f'region {index} has no capabilities and wants {argsz} bytes')
                continue
            seen = True
            need(argsz > 32, f'region {index} has capabilities, but wants {argsz} bytes')
            need(len(reply.payload) == 32, f'the short reply of region {index} has {len(reply.payload)} bytes')
            need(32 <= cap_offset < argsz, f'the short reply of region {index} has cap_offset {cap_offset}')
            whole = c.region(index, argsz)
            need(len(whole.payload) == argsz, f'asked for {argsz} bytes, region {index} sends {len(whole.payload)}')
    if not seen:
        raise Skipped('no region has capabilities')


@clause('region.chain', 'the chain of capabilities stays inside the reply and ends')
def _(t):
    with t.connect() as c:
        for index in range(9):
            reply = c.call(GET_REGION_INFO, request(index, 65536))
            if reply.flags & ERROR:
                continue
            flags, at = struct.unpack_from('=I4xI', reply.payload, 4)
            steps = 0
            while flags & R_CAPS and at:
                need(32 <= at <= len(reply.payload) - 8, f'a capability of region {index} lies at {at}')
                at = struct.unpack_from('=I', reply.payload, at + 4)[0]
                steps += 1
                need(steps < 64, f'the chain of region {index} does not end')


@clause('region.areas', 'areas to map are ascending, apart, whole pages, and inside the region')
def _(t):
    with t.connect() as c:
        for index in range(9):
            reply = c.call(GET_REGION_INFO, request(index))
            if reply.flags & ERROR:
                continue
            region = c.whole_region(index)
            end = 0
            for offset, size in c.areas(region):
                need(size, f'region {index} has an empty area')
                need(offset >= end, f'the areas of region {index} overlap or are not in order')
                need(offset + size <= region.size, f'an area of region {index} is not inside it')
                need(offset % 4096 == 0, f'an area of region {index} starts at {offset:#x}')
                need(size % 4096 == 0 or region.size < 4096, f'an area of region {index} has {size:#x} bytes')
                end = offset + size


@clause('region.fd', 'a region that can be mapped comes with one file descriptor, others with none')
def _(t):
    with t.connect() as c:
        for index in range(9):
            reply = c.call(GET_REGION_INFO, request(index))
            if reply.flags & ERROR:
                continue
            region = c.whole_region(index)
            wanted = 1 if region.flags & R_MMAP else 0
            need(len(region.fds) == wanted, f'region {index} comes with {len(region.fds)} file descriptors')


@clause('region.map', 'what is mapped reads as what is read by messages')
def _(t):
    seen = False
    with t.connect() as c:
        for index in range(6):
            region = c.whole_region(index)
            for offset, size in c.areas(region):
                seen = True
                need(region.fds, f'region {index} has areas but no file descriptor')
                try:
                    mapped = mmap.mmap(region.fds[0], size, mmap.MAP_SHARED, mmap.PROT_READ,
                                       offset=region.offset + offset)
                except (OSError, ValueError) as error:
                    raise Failed(f'region {index} cannot be mapped at {offset:#x}: {error}') from None
                with mapped:
                    if not t.device_memory:
                        need(mapped[:4] == c.read(index, offset, 4), f'region {index} differs at {offset:#x}')
    if not seen:
        raise Skipped('no region can be mapped')


@clause('region.messages', 'every region can be read by messages, also where it can be mapped')
def _(t):
    with t.connect() as c:
        c.write(CONFIG, 4, b'\x03\0')
        for index in range(9):
            reply = c.call(GET_REGION_INFO, request(index))
            if reply.flags & ERROR:
                continue
            region = c.whole_region(index)
            if region.size and region.flags & R_READ:
                for offset, _ in [(0, 0)] + c.areas(region):
                    c.read(index, offset, min(4, region.size))


@clause('read.echo', 'a reply to REGION_READ has the offset, region and count of the command, and the data')
def _(t):
    with t.connect() as c:
        for offset, count in ((0, 4), (2, 2), (3, 1), (0, 64), (0, c.region(CONFIG).size)):
            reply = c.good(REGION_READ, access(CONFIG, offset, count))
            need(struct.unpack_from('=QII', reply.payload) == (offset, CONFIG, count), 'the reply is of another access')
            need(len(reply.payload) == 16 + count, f'{count} bytes asked, {len(reply.payload) - 16} come')


@clause('read.width', 'a register reads the same at every width')
def _(t):
    with t.connect() as c:
        whole = c.read(CONFIG, 0, 64)
        need(whole[:2] != b'\xff\xff', 'there is no device: the vendor id is ffff')
        for width in (1, 2, 4):
            pieces = b''.join(c.read(CONFIG, n, width) for n in range(0, 16, width))
            need(pieces[:4] == whole[:4] and pieces[8:] == whole[8:16], f'config differs when read {width} by {width}')


@clause('write.echo', 'a reply to REGION_WRITE has the offset, region and count of the command, and no data')
def _(t):
    with t.connect() as c:
        kept = c.read(CONFIG, 0x3c, 1)
        reply = c.write(CONFIG, 0x3c, b'\x2b')
        need(struct.unpack('=QII', reply.payload[:16]) == (0x3c, CONFIG, 1), 'the reply is of another access')
        need(len(reply.payload) == 16, f'the reply has {len(reply.payload)} bytes')
        need(c.read(CONFIG, 0x3c, 1) == b'\x2b', 'Interrupt Line does not keep what was written')
        c.write(CONFIG, 0x3c, kept)


@clause('read.region', 'an access to a region that does not exist does not take the stream out of step')
def _(t):
    with t.connect() as c:
        for region in (0x1000, 0xffffffff):
            c.call(REGION_READ, access(region, 0, 4))
            c.call(REGION_WRITE, access(region, 0, 4, b'\0' * 4))
            c.alive('an access to a region that does not exist')


@clause('read.end', 'an access over the end of a region gives an error or all ones, and nothing beyond')
def _(t):
    with t.connect() as c:
        size = c.region(CONFIG).size
        for offset, count in ((size, 4), (size - 2, 4), (1 << 40, 4), (0xfffffffffffffffe, 4), (0xffffffffffffffff, 1)):
            reply = c.call(REGION_READ, access(CONFIG, offset, count))
            if not reply.flags & ERROR:
                need(len(reply.payload) == 16 + count, 'a read over the end is answered with another length')
                outside = reply.payload[16 + max(0, min(count, size - offset)):]
                need(outside == b'\xff' * len(outside), f'a read at {offset:#x} is answered with {outside.hex()}')
            c.call(REGION_WRITE, access(CONFIG, offset, count, b'\x5a' * count))
            c.alive(f'an access at {offset:#x}')


@clause('read.zero', 'a read of no bytes does no harm')
def _(t):
    with t.connect() as c:
        reply = c.call(REGION_READ, access(CONFIG, 0, 0))
        need(reply.flags & ERROR or len(reply.payload) == 16, 'bytes come that nobody asked for')
        c.alive('a read of no bytes')


@clause('read.large', 'a count above max_data_xfer_size is refused')
def _(t):
    with t.connect() as c:
        limit = c.capabilities.get('max_data_xfer_size', 1 << 20)
        for count in (limit + 1, 0x7fffffff, 0xffffffff):
            reply = c.call(REGION_READ, access(CONFIG, 0, count))
            need(reply.flags & ERROR, f'a read of {count:#x} bytes is answered')
            c.alive('a read that is too large')


@clause('write.short', 'a write whose data is shorter or longer than its count is refused')
def _(t):
    for data in (b'', b'\0', b'\0' * 5):
        with t.connect() as c:
            before = c.read(CONFIG, 0x3c, 1)
            c.refused(REGION_WRITE, access(CONFIG, 0x3c, 4, data), what=f'{len(data)} bytes of data for a count of 4')
        with t.connect() as c:
            need(c.read(CONFIG, 0x3c, 1) == before or data, 'a refused write has an effect')


@clause('multi.negotiated', 'REGION_WRITE_MULTI does its writes in order, if it was negotiated')
def _(t):
    with t.connect() as c:
        if not c.capabilities.get('write_multiple'):
            raise Skipped('the server does not offer write_multiple')
        entry = struct.Struct('=QII8s')
        writes = b''.join(entry.pack(0x3c, CONFIG, 1, bytes([n]) + bytes(7)) for n in (1, 2, 3))
        reply = c.good(WRITE_MULTI, struct.pack('=Q', 3) + writes)
        need(reply.payload == struct.pack('=Q', 3), f'three writes are answered with {reply.payload.hex()}')
        need(c.read(CONFIG, 0x3c, 1) == b'\x03', 'the last of three writes did not win')


@clause('multi.bounds', 'REGION_WRITE_MULTI with a count that its data does not have, or wide entries, is refused')
def _(t):
    entry = struct.pack('=QII8s', 0x3c, CONFIG, 1, bytes(8))
    bad = [struct.pack('=Q', 2) + entry, struct.pack('=Q', 1 << 60) + entry, b'\1\0\0\0',
           struct.pack('=Q', 1) + struct.pack('=QII8s', 0x3c, CONFIG, 9, bytes(8)),
           struct.pack('=Q', 0xaaaaaaaaaaaaaab) + entry]
    for payload in bad:
        with t.connect() as c:
            try:
                reply = c.call(WRITE_MULTI, payload)
                done = struct.unpack('=Q', reply.payload)[0] if len(reply.payload) == 8 else 0
                need(reply.flags & ERROR or done == 0, f'it is accepted: {payload[:8].hex()}')
                c.alive('a bad REGION_WRITE_MULTI')
            except Closed:
                pass


@clause('multi.unasked', 'REGION_WRITE_MULTI is refused if it was not negotiated')
def _(t):
    with t.connect(proposal={'max_msg_fds': 16}) as c:
        payload = struct.pack('=Q', 1) + struct.pack('=QII8s', 0x3c, CONFIG, 1, bytes(8))
        c.refused(WRITE_MULTI, payload, what='REGION_WRITE_MULTI')


@clause('io-fds.reply', 'DEVICE_GET_REGION_IO_FDS is answered with an error or with records inside the region')
def _(t):
    with t.connect() as c:
        for index in range(6):
            region = c.region(index)
            reply = c.call(GET_REGION_IO_FDS, struct.pack('=IIII', 65536, 0, index, 0))
            if reply.flags & ERROR:
                continue
            need(len(reply.payload) >= 16, 'the reply is too short')
            argsz, flags, got, count = struct.unpack_from('=IIII', reply.payload)
            need((flags, got) == (0, index), f'the reply has flags {flags} and index {got}')
            need(argsz == len(reply.payload), f'argsz is {argsz}, the reply has {len(reply.payload)} bytes')
            if not count:
                continue
            stride = (argsz - 16) // count
            need(stride in (40, 48) and 16 + stride * count == argsz, f'{count} records in {argsz} bytes')
            for n in range(count):
                offset, size, fd_index, kind = struct.unpack_from('=QQII', reply.payload, 16 + n * stride)
                need(offset + size <= region.size and size <= region.size, f'record {n} is not inside the region')
                need(fd_index < len(reply.fds), f'record {n} names file descriptor {fd_index} of {len(reply.fds)}')
                need(kind in (0, 1, 2), f'record {n} is of kind {kind}')


@clause('io-fds.request', 'DEVICE_GET_REGION_IO_FDS with a region that does not exist, flags or too small an argsz is refused')
def _(t):
    with t.connect() as c:
        for argsz, flags, index in ((65536, 0, 0xffff), (65536, 1, 0), (15, 0, 0), (0, 0, 0)):
            c.error(GET_REGION_IO_FDS, struct.pack('=IIII', argsz, flags, index, 0),
                    what=f'argsz {argsz}, flags {flags}, region {index}')
        c.error(GET_REGION_IO_FDS, b'\0' * 8, what='a body of 8 bytes')
