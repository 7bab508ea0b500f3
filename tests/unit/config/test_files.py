from __future__ import annotations

from pathlib import Path

from cspd.config.files import read_files


def write(folder: Path, **files: str) -> Path:
    (folder / "conf.d").mkdir(exist_ok=True)
    for name, text in files.items():
        file = folder / "cspd.toml" if name == "main" else folder / "conf.d" / f"{name}.toml"
        file.write_text(text)
    return folder / "cspd.toml"


def test_tables_of_several_files_become_one(tmp_path: Path) -> None:
    main = write(tmp_path, main="[a]\nx = 1\n", one="[a]\ny = 2\n[b]\nz = 3\n", two="[a.c]\nw = 4\n")
    tree = read_files(main)
    assert tree.values == {"a": {"x": 1, "y": 2, "c": {"w": 4}}, "b": {"z": 3}}
    assert tree.problems == []
    assert str(tree.places["a", "c", "w"]) == f"{tmp_path}/conf.d/two.toml:2"


def test_second_setting_names_both_places(tmp_path: Path) -> None:
    main = write(tmp_path, main="[a]\nx = 1\n", one="[a]\n# ...\nx = 1\n")
    assert [str(problem) for problem in read_files(main).problems] == [
        (
            f"{tmp_path}/conf.d/one.toml:3: a.x: is set a second time; {tmp_path}/cspd.toml:2 has set it already. "
            "Set a.x in one place."
        )
    ]


def test_table_and_value_of_one_name_are_refused(tmp_path: Path) -> None:
    main = write(tmp_path, main="a = 1\n", one="[a]\nx = 1\n")
    assert len(read_files(main).problems) == 1


def test_broken_file_is_named_with_its_line_and_the_others_are_read(tmp_path: Path) -> None:
    main = write(tmp_path, main="[a]\nx = 1\n", one="[b]\nx = \n", two="[c]\nx = 1\n")
    tree = read_files(main)
    assert [str(problem) for problem in tree.problems] == [f"{tmp_path}/conf.d/one.toml:2: is not TOML: Invalid value."]
    assert tree.values == {"a": {"x": 1}, "c": {"x": 1}}


def test_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert [str(problem) for problem in read_files(tmp_path / "cspd.toml").problems] == [
        (
            f"{tmp_path}/cspd.toml: cannot be read: No such file or directory. "
            "Make one with `cspctl init`, or name another with --config."
        )
    ]


def test_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cspd.toml").write_bytes(b"a = '\xff'\n")
    assert [problem.what for problem in read_files(tmp_path / "cspd.toml").problems] == ["is not UTF-8"]
