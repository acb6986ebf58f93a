# SPDX-License-Identifier: BSD-2-Clause
"""Interrupts: what there is, and every form of DEVICE_SET_IRQS."""
import os
import struct

from clauses import clause
from protocol import (ACT_MASK, ACT_TRIGGER, ACT_UNMASK, DATA_BOOL, DATA_EVENTFD, DATA_NONE, ERROR, GET_IRQ_INFO,
                      I_EVENTFD, I_MASKABLE, SET_IRQS, Closed, Skipped, eventfds, fires, memory, need)

INTX, MSI, MSIX = 0, 1, 2
BIND = DATA_EVENTFD | ACT_TRIGGER
LOOP = DATA_NONE | ACT_TRIGGER


def usable(c):
    """Interrupt types that have vectors and take eventfds: the three of PCI only."""
    found = [(index, c.irq(index)) for index in (INTX, MSI, MSIX)]
    found = [(index, irq) for index, irq in found if irq.count and irq.flags & I_EVENTFD]
    if not found:
        raise Skipped('the device has no interrupt')
    return found


def off(c, index):
    c.good(*c.irqs(LOOP, index, 0, 0))


@clause('irq.info', 'each interrupt type is described: its index, known flags, a count')
def _(t):
    with t.connect() as c:
        for index in range(c.info()[3]):
            irq = c.irq(index)
            need(irq.index == index, f'the reply for interrupt {index} is of {irq.index}')
            need(irq.argsz == 16, f'argsz of interrupt {index} is {irq.argsz}')
            need(not irq.flags & ~0xf, f'interrupt {index} has flags that do not exist: {irq.flags:#x}')
            need(irq.count <= (1, 32, 2048)[index] if index < 3 else True, f'interrupt {index} has {irq.count} vectors')


@clause('irq.index', 'an interrupt type that does not exist, or too small a request, is refused')
def _(t):
    with t.connect() as c:
        for index in (c.info()[3], 0x7fffffff, 0xffffffff):
            c.error(GET_IRQ_INFO, struct.pack('=IIII', 16, 0, index, 0), what=f'interrupt {index:#x}')
        c.error(GET_IRQ_INFO, struct.pack('=IIII', 15, 0, 0, 0), what='argsz 15')
        c.error(GET_IRQ_INFO, b'\x10\0\0\0', what='a body of 4 bytes')


@clause('set-irqs.loopback', 'an eventfd that was bound is signalled by TRIGGER without data')
def _(t):
    with t.connect() as c:
        for index, irq in usable(c):
            with eventfds(1) as fds:
                c.good(*c.irqs(BIND, index, 0, 1, fds))
                c.good(*c.irqs(LOOP, index, 0, 1))
                need(fires(fds[0], t.timeout), f'vector 0 of interrupt {index} does not fire')
                off(c, index)


@clause('set-irqs.bool', 'TRIGGER with bools signals the vectors whose byte is not 0, and no others')
def _(t):
    with t.connect() as c:
        tested = False
        for index, irq in usable(c):
            if irq.count < 2:
                continue
            tested = True
            with eventfds(2) as fds:
                c.good(*c.irqs(BIND, index, 0, 2, fds))
                c.good(*c.irqs(DATA_BOOL | ACT_TRIGGER, index, 0, 2, data=b'\0\1'))
                need(fires(fds[1], t.timeout), f'vector 1 of interrupt {index} does not fire')
                need(not fires(fds[0], 0), f'vector 0 of interrupt {index} fires')
                off(c, index)
        if not tested:
            raise Skipped('no interrupt has two vectors')


@clause('set-irqs.unbind', 'EVENTFD without file descriptors takes them off: TRIGGER no longer signals')
def _(t):
    with t.connect() as c:
        tested = False
        for index, irq in usable(c):
            if irq.count < 2:
                continue
            tested = True
            with eventfds(2) as fds:
                c.good(*c.irqs(BIND, index, 0, 2, fds))
                c.good(*c.irqs(BIND, index, 0, 1))
                c.good(*c.irqs(DATA_BOOL | ACT_TRIGGER, index, 0, 2, data=b'\1\1'))
                need(fires(fds[1], t.timeout), f'vector 1 of interrupt {index} does not fire')
                need(not fires(fds[0], 0), f'vector 0 of interrupt {index} fires after it was taken off')
                off(c, index)
        if not tested:
            raise Skipped('no interrupt has two vectors')


@clause('set-irqs.off', 'NONE, TRIGGER, start 0, count 0 turns the whole type off, also when it is off')
def _(t):
    with t.connect() as c:
        for index, irq in usable(c):
            with eventfds(1) as fds:
                off(c, index)
                c.good(*c.irqs(BIND, index, 0, 1, fds))
                off(c, index)
                c.call(*c.irqs(LOOP, index, 0, 1))
                need(not fires(fds[0], 0), f'interrupt {index} fires though it is off')


@clause('set-irqs.all', 'all vectors can be bound, in blocks of as many file descriptors as the server takes')
def _(t):
    with t.connect() as c:
        room = min(c.capabilities.get('max_msg_fds', 1), 16)
        for index, irq in usable(c):
            count = min(irq.count, 128)
            with eventfds(count) as fds:
                for start in range(0, count, room):
                    c.good(*c.irqs(BIND, index, start, min(room, count - start), fds[start:start + room]))
                for vector in {0, count // 2, count - 1}:
                    c.good(*c.irqs(LOOP, index, vector, 1))
                    need(fires(fds[vector], t.timeout), f'vector {vector} of interrupt {index} does not fire')
                off(c, index)


@clause('set-irqs.replace', 'a second eventfd for a vector replaces the first')
def _(t):
    with t.connect() as c:
        for index, _ in usable(c):
            with eventfds(2) as fds:
                c.good(*c.irqs(BIND, index, 0, 1, fds[:1]))
                c.good(*c.irqs(BIND, index, 0, 1, fds[1:]))
                c.good(*c.irqs(LOOP, index, 0, 1))
                need(fires(fds[1], t.timeout), 'the second does not fire')
                need(not fires(fds[0], 0), 'the first still fires')
                off(c, index)


@clause('set-irqs.flags', 'exactly one kind of data and one action are needed')
def _(t):
    with t.connect() as c:
        index, _ = usable(c)[0]
        for flags in (0, DATA_NONE, ACT_TRIGGER, DATA_NONE | DATA_BOOL | ACT_TRIGGER, DATA_NONE | ACT_MASK | ACT_TRIGGER,
                      DATA_NONE | ACT_TRIGGER | 64, 0xffffffff):
            c.error(*c.irqs(flags, index, 0, 0), what=f'flags {flags:#x}')


@clause('set-irqs.range', 'vectors past the count, and ranges that wrap, are refused')
def _(t):
    with t.connect() as c:
        for index, irq in usable(c):
            for start, count in ((irq.count, 1), (0, irq.count + 1), (0xffffffff, 2), (0x80000000, 0x80000000),
                                 (0, 0xffffffff)):
                c.error(*c.irqs(LOOP, index, start, count), what=f'vectors {start:#x}+{count:#x} of interrupt {index}')


@clause('set-irqs.index', 'an interrupt type that does not exist is refused')
def _(t):
    with t.connect() as c:
        for index in (c.info()[3], 0xffffffff):
            c.error(*c.irqs(LOOP, index, 0, 0), what=f'interrupt {index:#x}')


@clause('set-irqs.size', 'argsz, the body and the data must agree')
def _(t):
    with t.connect() as c:
        index, irq = usable(c)[0]
        c.error(*c.irqs(LOOP, index, 0, 1, argsz=19), what='argsz 19')
        c.error(*c.irqs(DATA_BOOL | ACT_TRIGGER, index, 0, irq.count, data=b''), what='bools that do not come')
        c.error(SET_IRQS, b'\x14\0\0\0' + b'\0' * 8, what='a body of 12 bytes')


@clause('set-irqs.fd-count', 'another number of file descriptors than the count, other than none, is refused')
def _(t):
    with t.connect() as c:
        for index, irq in usable(c):
            with eventfds(2) as fds:
                c.error(*c.irqs(BIND, index, 0, 1, fds), what='two file descriptors for one vector')
                if irq.count >= 3:
                    c.error(*c.irqs(BIND, index, 0, 3, fds), what='two file descriptors for three vectors')


@clause('set-irqs.wrong-fd', 'a file descriptor that is no eventfd is refused, or does no harm', 'should')
def _(t):
    with t.connect() as c, memory(4096) as fd:
        index, _ = usable(c)[0]
        try:
            reply = c.call(*c.irqs(BIND, index, 0, 1, [fd]))
            if not reply.flags & ERROR:
                c.call(*c.irqs(LOOP, index, 0, 1))
            c.alive('a file descriptor that is no eventfd')
            need(os.pread(fd, 8, 0) == b'\0' * 8, 'the server wrote into a file that is no eventfd')
        except Closed:
            pass


@clause('set-irqs.mask', 'what says that it can be masked can be: masked and unmasked without data', 'should')
def _(t):
    with t.connect() as c:
        tested = False
        for index, irq in usable(c):
            if not irq.flags & I_MASKABLE:
                continue
            tested = True
            with eventfds(1) as fds:
                c.good(*c.irqs(BIND, index, 0, 1, fds))
                c.good(*c.irqs(DATA_NONE | ACT_MASK, index, 0, 1))
                c.good(*c.irqs(DATA_NONE | ACT_UNMASK, index, 0, 1))
                off(c, index)
        if not tested:
            raise Skipped('no interrupt can be masked')


@clause('set-irqs.resample', 'UNMASK takes an eventfd for INTx, or refuses it', 'should')
def _(t):
    with t.connect() as c:
        if not c.irq(INTX).count:
            raise Skipped('the device has no INTx')
        with eventfds(2) as fds:
            c.good(*c.irqs(BIND, INTX, 0, 1, fds[:1]))
            c.call(*c.irqs(DATA_EVENTFD | ACT_UNMASK, INTX, 0, 1, fds[1:]))
            c.alive('an eventfd that unmasks')
            off(c, INTX)
