"""What a Linux program says of itself: the machine that it is for, and which versions of which libraries it asks for.

It is read where the dynamic loader reads it (section `.gnu.version_r`), so that what is found is what decides whether the program
starts. 64 bits, little-endian: both of Lambda's architectures. Standard library only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MACHINES = {62: "x86_64", 183: "arm64"}
NEEDED_VERSIONS = 0x6FFFFFFE  # SHT_GNU_verneed


class NoProgram(ValueError):
    """The bytes are no program for 64-bit Linux, or a damaged one."""


def machine(program: bytes) -> str:
    """The architecture, in Lambda's words where Lambda has it."""
    # Magic number, 64 bits, little-endian.
    if program[:6] != b"\x7fELF\x02\x01" or len(program) < 64:
        raise NoProgram("no 64-bit program for Linux")
    (number,) = struct.unpack_from("<H", program, 18)
    return MACHINES.get(number, f"machine {number}")


def needed_versions(program: bytes) -> list[tuple[str, str]]:
    """Library and version name of everything that the loader must find; empty for a static program."""
    machine(program)
    try:
        sections = list(_sections(program))
        return [
            needed
            for kind, start, link, count in sections
            if kind == NEEDED_VERSIONS
            for needed in _versions(program, start, sections[link][1], count)
        ]
    except (struct.error, IndexError, ValueError) as error:
        raise NoProgram(f"a damaged program: {error}") from error


def needed_glibc(program: bytes) -> tuple[int, ...]:
    """The oldest C library that has everything, as numbers; (0,) for a static program."""
    names = [name for _, name in needed_versions(program) if name.startswith("GLIBC_")]
    # GLIBC_PRIVATE would be glibc's own business: no number, and no program of ours has it.
    return max((tuple(map(int, name.removeprefix("GLIBC_").split("."))) for name in names), default=(0,))


def _sections(program: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Type, offset, linked section and number of entries of each section."""
    (table,) = struct.unpack_from("<Q", program, 40)
    size, count = struct.unpack_from("<HH", program, 58)
    for number in range(count):
        _, kind, _, _, offset, _, link, info, _, _ = struct.unpack_from("<IIQQQQIIQQ", program, table + number * size)
        yield kind, offset, link, info


def _versions(program: bytes, start: int, names: int, count: int) -> Iterator[tuple[str, str]]:
    for _ in range(count):
        _, versions, library, first, following = struct.unpack_from("<HHIII", program, start)
        place = start + first
        for _ in range(versions):
            _, _, _, name, next_place = struct.unpack_from("<IHHII", program, place)
            yield _text(program, names + library), _text(program, names + name)
            place += next_place
        start += following


def _text(program: bytes, start: int) -> str:
    return program[start : program.index(b"\0", start)].decode()
