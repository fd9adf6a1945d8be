"""The check that decides whether a program may go to Lambda, on programs that a linker has made. Standard library only."""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

import elf
import package

OWN = package.own_architecture()
OTHER = {"x86_64": "arm64", "arm64": "x86_64"}[OWN]


@unittest.skipUnless(platform.system() == "Linux" and shutil.which("cc"), "makes Linux programs with the system's compiler")
class Check(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_takes_a_program_for_lambda(self) -> None:
        program = self.link("GLIBC_2.34")
        package.check(program, OWN)
        self.assertEqual(elf.needed_glibc(program), (2, 34))

    def test_refuses_a_newer_c_library(self) -> None:
        # As text, 2.4 would be newer than 2.34, and 2.100 older.
        for version in ("GLIBC_2.35", "GLIBC_2.100", "GLIBC_2.34.1", "GLIBC_3.0"):
            with self.subTest(version), self.assertRaisesRegex(ValueError, f"needs glibc {version[6:]}"):
                package.check(self.link(version), OWN)
        package.check(self.link("GLIBC_2.4"), OWN)

    def test_refuses_another_architecture(self) -> None:
        with self.assertRaisesRegex(ValueError, f"a program for {OWN}, not for {OTHER}"):
            package.check(self.link("GLIBC_2.34"), OTHER)

    def test_names_a_version_only_where_the_loader_looks(self) -> None:
        program = self.link("GLIBC_2.34", constant="GLIBC_2.99")
        self.assertIn(b"GLIBC_2.99", program)
        package.check(program, OWN)

    def test_reads_what_objdump_reads(self) -> None:
        objdump = shutil.which("objdump")
        if not objdump:
            self.skipTest("no objdump")
        program = Path(shutil.which("cc") or "").resolve()
        done = subprocess.run([objdump, "-p", program], check=True, capture_output=True, text=True)
        references = done.stdout.partition("Version References:")[2].splitlines()
        names = {line.split()[-1] for line in references if line.strip().startswith("0x")}
        self.assertTrue(names)
        self.assertEqual({name for _, name in elf.needed_versions(program.read_bytes())}, names)

    def test_refuses_what_is_no_program(self) -> None:
        program = self.link("GLIBC_2.34")
        truncated = program[: struct.unpack_from("<Q", program, 40)[0]]
        for content in (b"", b"#!/bin/sh\n" + b"#" * 64, b"\xcf\xfa\xed\xfe" + bytes(96), truncated):
            with self.subTest(content[:4]), self.assertRaises(ValueError):
                package.check(content, OWN)

    def test_the_zip_holds_one_executable_and_is_the_same_each_time(self) -> None:
        bootstrap = self.folder / "bootstrap"
        bootstrap.write_bytes(self.link("GLIBC_2.34"))
        first = package.write_zip(bootstrap, self.folder / "first.zip")
        second = package.write_zip(bootstrap, self.folder / "second.zip")
        self.assertEqual(first.read_bytes(), second.read_bytes())
        with zipfile.ZipFile(first) as archive:
            [entry] = archive.infolist()
            self.assertEqual((entry.filename, entry.external_attr >> 16), ("bootstrap", 0o100755))
            self.assertEqual(archive.read(entry), bootstrap.read_bytes())

    def link(self, version: str, constant: str = "") -> bytes:
        """A program that asks a C library, made for it, for this version of one function."""
        (self.folder / "library.c").write_text("void answer(void) {}\n")
        (self.folder / "library.map").write_text(f"{version} {{ global: answer; local: *; }};\n")
        (self.folder / "program.c").write_text(
            f'void answer(void);\nconst char constant[] = "{constant}";\nvoid _start(void) {{ answer(); }}\n'
        )
        options = ["-shared", "-nostdlib", "-Wl,-soname,libc.so.6", "-Wl,--version-script=library.map"]
        self.cc(*options, "library.c", "-o", "libanswer.so")
        self.cc("-nostdlib", "-nostartfiles", "-fno-stack-protector", "program.c", "-L.", "-lanswer", "-o", "program")
        return (self.folder / "program").read_bytes()

    def cc(self, *arguments: str) -> None:
        subprocess.run(["cc", *arguments], cwd=self.folder, check=True, capture_output=True)


if __name__ == "__main__":
    unittest.main()
