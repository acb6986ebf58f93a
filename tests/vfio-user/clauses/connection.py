# SPDX-License-Identifier: BSD-2-Clause
"""Connections, versions and the frame of messages."""
import json
import os
import socket
import struct

from clauses import clause
from protocol import (CONFIG, ERROR, GET_INFO, HEADER, NO_REPLY, PROPOSAL, REGION_READ, REPLY, RESET, VERSION, Closed,
                      Failed, Skipped, memory, need)

INFO = struct.pack('=IIII', 16, 0, 0, 0)


@clause('version.reply', 'VERSION is answered with the same major and a minor that is not above the proposed one')
def _(t):
    for minor in (0, 1, 2, 0xffff):
        with t.connect(raw=True) as c:
            reply = c.version(minor=minor)
            need(not reply.flags & ERROR, f'version 0.{minor} is refused with error {reply.error}')
            need(len(reply.payload) >= 4, 'the reply has no version')
            got = struct.unpack_from('=HH', reply.payload)
            need(got[0] == 0, f'version 0.{minor} is answered with major {got[0]}')
            need(got[1] <= minor, f'version 0.{minor} is answered with 0.{got[1]}')


@clause('version.major', 'a major version that the server does not speak ends the connection')
def _(t):
    for major in (1, 0xffff):
        with t.connect(raw=True) as c:
            try:
                reply = c.version(major=major)
                need(reply.flags & ERROR, f'major {major} is accepted')
                c.receive()
                raise Failed(f'the connection goes on after major {major}')
            except Closed:
                pass


@clause('version.subset', 'the capabilities of the reply are a subset of those proposed')
def _(t):
    for proposal in (PROPOSAL, {}, {'max_msg_fds': 4}, {'pgsizes': 4096, 'twin_socket': {'supported': False}}):
        with t.connect(raw=True) as c:
            reply = c.version(proposal=proposal)
            need(not reply.flags & ERROR, f'the proposal {proposal} is refused')
            text = reply.payload[4:]
            if not text:
                continue
            need(text.endswith(b'\0') and text.count(b'\0') == 1, 'the version data does not end with one NUL')
            try:
                data = json.loads(text[:-1])
            except ValueError:
                raise Failed(f'the version data is no JSON: {text[:80]!r}') from None
            need(isinstance(data, dict), 'the version data is no JSON object')
            extra = set(data.get('capabilities', {})) - set(proposal)
            # Servers in use send these to every client; clients ignore what they do not know.
            need(not extra or proposal == {}, f'capabilities that were not proposed: {", ".join(sorted(extra))}')


@clause('version.values', 'each capability of the reply has the type and range that the text gives it')
def _(t):
    with t.connect() as c:
        caps = c.capabilities
        for key in ('max_msg_fds', 'max_data_xfer_size', 'max_dma_maps', 'pgsizes'):
            if key in caps:
                need(isinstance(caps[key], int) and caps[key] > 0, f'{key} is {caps[key]!r}')
        need(caps.get('max_msg_fds', 1) <= 253, 'max_msg_fds is above what a socket can carry')
        need(caps.get('pgsizes', 4096) % 4096 == 0, f'pgsizes is {caps.get("pgsizes")}')
        need(caps.get('max_dma_maps', 1) <= 65535, 'max_dma_maps is above what was proposed')
        need(isinstance(caps.get('write_multiple', False), bool), 'write_multiple is no boolean')


@clause('version.no-data', 'the version data is optional: a VERSION of four bytes is accepted')
def _(t):
    with t.connect(raw=True) as c:
        reply = c.version(proposal=None)
        need(not reply.flags & ERROR, f'it is refused with error {reply.error}')
        c.alive('a VERSION without data')


@clause('version.unknown-key', 'capabilities that the server does not know are ignored')
def _(t):
    with t.connect(proposal=dict(PROPOSAL, no_such_capability={'a': [1, 2]})) as c:
        need('no_such_capability' not in c.capabilities, 'the server offers what it cannot know')
        c.alive('a VERSION with an unknown key')


@clause('version.malformed', 'version data that is no JSON object is refused', 'should')
def _(t):
    for text in (b'{\0', b'[]\0', b'{"capabilities": 3}\0', b'\xff\xfe\0', b'{"a":' * 1000 + b'\0'):
        with t.connect(raw=True) as c:
            payload = struct.pack('=HH', 0, 1) + text
            c.refused(VERSION, payload, what=f'the version data {text[:24]!r}')


@clause('version.short', 'a VERSION that is too short for a version is refused')
def _(t):
    for size in (0, 2, 3):
        with t.connect(raw=True) as c:
            c.refused(VERSION, b'\0' * size, what=f'a VERSION of {size} bytes')


@clause('version.first', 'no command is served before VERSION')
def _(t):
    with t.connect(raw=True) as c:
        c.refused(GET_INFO, INFO, what='DEVICE_GET_INFO before VERSION')


@clause('version.once', 'a second VERSION does not break the connection in silence', 'should')
def _(t):
    with t.connect() as c:
        try:
            c.version()
            c.alive('a second VERSION')
        except Closed:
            pass


@clause('header.id', 'a reply has the id of its command; ids may be any and may repeat')
def _(t):
    with t.connect() as c:
        for ident in (0, 0xffff, 7, 7, 7):
            c.good(GET_INFO, INFO, ident=ident)


@clause('header.unknown-command', 'an unknown command is answered with an error of 16 bytes, and the stream stays in step')
def _(t):
    with t.connect() as c:
        for command in (0, 14, 19, 0x7fff, 0xffff):
            c.error(command, b'\xa5' * 40, what=f'command {command}')


@clause('header.size', 'a size below 16 is refused')
def _(t):
    for size in (0, 1, 15):
        with t.connect() as c:
            c.refused(GET_INFO, size=size, what=f'a message of size {size}')


@clause('header.too-large', 'a message that is larger than anything legal is refused without waiting for its end')
def _(t):
    for size in (0x7fffffff, 0xffffffff, 0x10000000):
        with t.connect() as c:
            c.refused(GET_INFO, INFO, size=size, what=f'a message of size {size:#x}')


@clause('header.type', 'a message of a type that does not exist is no command')
def _(t):
    for flags in (2, 0xf):
        with t.connect() as c:
            c.send(GET_INFO, INFO, flags=flags)
            try:
                reply = c.call(GET_INFO, INFO)
                need(reply.flags & ERROR or len(reply.payload) == 16, 'the stream is out of step')
            except Failed:
                pass  # an error reply to the first: has its id
            except Closed:
                pass


@clause('header.stray-reply', 'a reply to nothing is not answered', 'should')
def _(t):
    with t.connect() as c:
        c.send(REGION_READ, b'', flags=REPLY, ident=0x1234)
        try:
            c.alive('a reply to nothing')
        except Failed as failure:
            if 'closed' not in str(failure):
                raise


@clause('header.no-reply', 'a command with No_reply is not answered, and is done before the next one is answered')
def _(t):
    with t.connect() as c:
        kept = c.read(CONFIG, 0x3c, 1)
        for value in (0x5a, 0xa5, kept[0]):
            c.write(CONFIG, 0x3c, bytes([value]), flags=NO_REPLY)
            need(c.read(CONFIG, 0x3c, 1)[0] == value, 'a write without a reply is not seen by the read behind it')


@clause('header.no-reply-error', 'a command with No_reply is not answered when it fails, either')
def _(t):
    with t.connect() as c:
        c.send(0x7777, flags=NO_REPLY)
        c.send(REGION_READ, struct.pack('=QII', 0, 0xffff, 4), flags=NO_REPLY)
        c.alive('commands without a reply that fail')


@clause('header.pipeline', 'commands may be sent without waiting; they are answered in their order')
def _(t):
    with t.connect() as c:
        sent = 200
        c.raw(b''.join(c.message(GET_INFO, INFO, ident=1000 + n) for n in range(sent)))
        for n in range(sent):
            need(c.receive().id == 1000 + n, f'reply {n} of {sent} is of another command')


@clause('header.split', 'a message may arrive in any pieces')
def _(t):
    with t.connect() as c:
        for byte in c.message(REGION_READ, struct.pack('=QII', 0, CONFIG, 4), ident=9):
            c.raw(bytes([byte]))
        reply = c.receive()
        need(reply.id == 9 and len(reply.payload) == 20, 'a message sent byte by byte is not understood')


@clause('header.extra-fds', 'file descriptors with a command that takes none do no harm')
def _(t):
    with t.connect() as c, memory(4096) as fd:
        before = t.fd_count()
        for _ in range(8):
            try:
                c.call(GET_INFO, INFO, fds=[fd] * 4)
            except Closed:
                return
        c.alive('file descriptors that nobody wants')
        after = t.fd_count()
        need(before is None or after <= before, f'the server keeps {(after or 0) - (before or 0)} file descriptors')


@clause('info.flags', 'DEVICE_GET_INFO says that it is a PCI device with all standard regions and interrupts')
def _(t):
    with t.connect() as c:
        argsz, flags, regions, irqs = c.info()
        need(argsz == 16, f'argsz is {argsz}')
        need(flags & 2, 'the PCI flag is not set')
        need(not flags & ~3, f'flags that do not exist: {flags:#x}')
        need(regions >= 9, f'there are {regions} regions; a PCI device has 9 or more')
        need(irqs >= 5, f'there are {irqs} interrupt types; a PCI device has 5')


@clause('info.argsz', 'DEVICE_GET_INFO with an argsz below 16 or a body that is too short is refused')
def _(t):
    with t.connect() as c:
        for argsz in (0, 15):
            c.error(GET_INFO, struct.pack('=IIII', argsz, 0, 0, 0), what=f'argsz {argsz}')
        c.error(GET_INFO, b'\x10\0\0', what='a body of 3 bytes')
        reply = c.good(GET_INFO, struct.pack('=IIII', 4096, 0, 0, 0))
        need(len(reply.payload) == 16, f'the reply has {len(reply.payload)} bytes instead of 16')


@clause('reset.done', 'DEVICE_RESET is answered with a header alone, if the device can be reset')
def _(t):
    with t.connect() as c:
        if not c.info()[1] & 1:
            raise Skipped('the device cannot be reset')
        reply = c.good(RESET)
        need(reply.size == 16, f'the reply has {reply.size} bytes')
        c.alive('a reset')


@clause('reset.command', 'after DEVICE_RESET the COMMAND register is 0', 'should')
def _(t):
    with t.connect() as c:
        if not c.info()[1] & 1:
            raise Skipped('the device cannot be reset')
        c.write(CONFIG, 4, b'\x06\0')
        c.good(RESET)
        need(c.read(CONFIG, 4, 2) == b'\0\0', 'COMMAND keeps bits over a reset')


@clause('connection.again', 'a client may come after another has gone, also without a word')
def _(t):
    for _ in range(5):
        with t.connect() as c:
            c.alive('a new connection')
    t.connect(raw=True).close()
    with t.connect() as c:
        c.alive('a client that said nothing')


@clause('connection.cut', 'a client that goes in the middle of a message does not stop the next one')
def _(t):
    with t.connect(raw=True) as c:
        whole = c.message(VERSION, struct.pack('=HH', 0, 1) + json.dumps({'capabilities': PROPOSAL}).encode() + b'\0')
    whole += HEADER.pack(2, REGION_READ, 32, 0, 0) + struct.pack('=QII', 0, CONFIG, 4)
    for cut in range(1, len(whole), 7):
        with t.connect(raw=True) as c:
            try:
                c.raw(whole[:cut])
            except Closed:
                pass
    with t.connect() as c:
        c.alive('clients that went in the middle of a message')


@clause('connection.deaf', 'a client that reads no replies does not stop the next one')
def _(t):
    with t.connect() as c:
        c.sock.setblocking(False)
        flood = c.message(REGION_READ, struct.pack('=QII', 0, CONFIG, 256)) * 64
        try:
            for _ in range(1000):
                c.sock.send(flood)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
    with t.connect() as c:
        c.alive('a client that read nothing')


@clause('connection.nothing-left', 'when a client has gone, the server keeps none of its file descriptors')
def _(t):
    before = t.fd_count()
    if before is None:
        raise Skipped('the process of the server is not known (--pid)')
    with t.connect() as c, memory(1 << 20) as fd:
        for n in range(8):
            c.good(*c.map(0x100000000 + n * 0x100000, 0x100000, fd))
        c.sock.shutdown(socket.SHUT_RDWR)
    with t.connect() as c:
        c.alive('a client with maps')
    t.wait(lambda: t.fd_count() <= before, f'{before} file descriptors before, more after')
    need(os.path.exists(f'/proc/{t.pid}'), 'the server ended')
