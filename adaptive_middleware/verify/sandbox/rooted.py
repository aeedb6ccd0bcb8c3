"""A root of a file system in which nothing is: places to show what a sandbox may see."""

from __future__ import annotations

from pathlib import Path


def rooted(folder: Path) -> Path:
    """The new folder `root` in `folder`, which everybody may read: empty places, and links to what `/usr` has."""
    folder.chmod(0o755)
    root = folder / "root"
    for name in ("usr", "box", "proc", "dev", "sys", "etc", "run"):
        (root / name).mkdir(parents=True)
    (root / "box").chmod(0o777)  # some runtimes give what is mounted there the mode that they find
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    return root
