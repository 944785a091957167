"""The tree agrees with RFC 6962's own examples, with an implementation by others, and with its definition, at every size."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree, InvalidProof
from pymerkle.proof import ConsistencyProof, InclusionProof, verify_consistency, verify_inclusion

from marketplace.disclosure import hash_tree
from marketplace.disclosure.tree_check import (
    NotProven,
    inclusion_root,
    leaf_hash,
    must_be_consistent,
    tree_root,
)

# The examples of the Certificate Transparency project: these leaves have these roots.
LEAVES = [bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count: int, salt: str = "") -> list[bytes]:
    return [leaf_hash(f"{salt}{n}".encode()) for n in range(count)]


def test_the_published_examples() -> None:
    hashes = [leaf_hash(each) for each in LEAVES]
    fetch = hash_tree.in_memory(hashes)
    assert [hash_tree.root(size, fetch).hex() for size in range(9)] == ROOTS
    assert [each.hex() for each in hash_tree.consistency(6, 8).fetched(fetch)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_an_implementation_by_others_agrees_on_every_root_and_proof() -> None:
    theirs = InmemoryTree(algorithm="sha256")
    data = [f"record {n}".encode() for n in range(40)]
    hashes = [leaf_hash(each) for each in data]
    fetch = hash_tree.in_memory(hashes)
    for size in range(1, len(data) + 1):
        theirs.append_entry(data[size - 1])
        root = hash_tree.root(size, fetch)
        assert theirs.get_root(size) == root
        for index in range(size):
            path = hash_tree.inclusion(index, size).fetched(fetch)
            proof = theirs.prove_inclusion(index + 1, size)  # theirs counts leaves from 1
            assert proof.path == [hashes[index], *path]
            ours = InclusionProof("sha256", True, size, proof.index, proof.rule, [hashes[index], *path])
            verify_inclusion(hashes[index], root, ours, index=proof.index, size=size)
        for old in range(1, size + 1):
            before = hash_tree.root(old, fetch)
            proof = theirs.prove_consistency(old, size)
            assert isinstance(proof, ConsistencyProof)
            verify_consistency(before, root, proof, prior_size=old, later_size=size)
            must_be_consistent(old, before, size, root, hash_tree.consistency(old, size).fetched(fetch))
            with pytest.raises(InvalidProof):
                verify_consistency(leaf_hash(b"other"), root, proof)
            with pytest.raises(NotProven):
                must_be_consistent(old, leaf_hash(b"other"), size, root, hash_tree.consistency(old, size).fetched(fetch))


@given(st.integers(0, 200), st.lists(st.integers(1, 70), max_size=6))
def test_however_it_grew_it_is_the_same_tree(first: int, steps: list[int]) -> None:
    size, rows = 0, list[bytes]()
    hashes = leaves(first + sum(steps))
    for step in [first, *steps]:
        places = {node: hash_tree.row_of(node) for node in hash_tree.nodes_of(0, size)}
        edge = {node: hash_tree.node_in(leaf, place, hashes, rows) for node, (leaf, place) in places.items()}
        rows += hash_tree.append(size, edge, hashes[size : size + step])
        size += step
    assert rows == hash_tree.append(0, {}, hashes)
    assert hash_tree.root(size, hash_tree.in_memory(hashes)) == tree_root(hashes)
    assert [len(row) // 32 for row in rows] == [((n + 1) & -(n + 1)).bit_length() - 1 for n in range(size)]


@given(st.integers(1, 300), st.data())
def test_a_proof_proves_its_leaf_and_nothing_else(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    fetch = hash_tree.in_memory(hashes)
    root = hash_tree.root(size, fetch)
    index = data.draw(st.integers(0, size - 1))
    path = hash_tree.inclusion(index, size).fetched(fetch)
    assert inclusion_root(hashes[index], index, size, path) == root
    assert inclusion_root(leaf_hash(b"other"), index, size, path) != root
    for wrong in _spoilt(path, data):
        assert _root_or_none(hashes[index], index, size, wrong) != root
    other = data.draw(st.integers(0, size))
    if other != index:
        assert _root_or_none(hashes[index], other, size, path) != root


def _root_or_none(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    try:
        return inclusion_root(leaf, index, size, path)
    except NotProven:
        return None


@given(st.integers(1, 300), st.data())
def test_a_history_that_was_changed_is_never_consistent(size: int, data: st.DataObject) -> None:
    hashes, other = leaves(size), leaves(size, "other ")
    old = data.draw(st.integers(1, size))
    fetch = hash_tree.in_memory(hashes)
    path, root, before = hash_tree.consistency(old, size).fetched(fetch), tree_root(hashes), tree_root(hashes[:old])
    must_be_consistent(old, before, size, root, path)
    changed = data.draw(st.integers(0, old - 1))
    rewritten = [*hashes[:changed], other[changed], *hashes[changed + 1 :]]
    for its in (path, hash_tree.consistency(old, size).fetched(hash_tree.in_memory(rewritten))):
        with pytest.raises(NotProven):
            must_be_consistent(old, before, size, tree_root(rewritten), its)
    for wrong in _spoilt(path, data):
        with pytest.raises(NotProven):
            must_be_consistent(old, before, size, root, wrong)


def _spoilt(path: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    spoilt = [[*path, chance.randbytes(32)]]
    if path:
        place = chance.randrange(len(path))
        spoilt += [path[:place] + path[place + 1 :], [*path[:place], chance.randbytes(32), *path[place + 1 :]]]
    return spoilt


def test_sizes_that_cannot_be() -> None:
    for index, size in ((0, 0), (-1, 3), (3, 3)):
        with pytest.raises(ValueError):
            hash_tree.inclusion(index, size)
    for old, size in ((0, 3), (4, 3)):
        with pytest.raises(ValueError):
            hash_tree.consistency(old, size)
    with pytest.raises(NotProven):
        must_be_consistent(0, tree_root([]), 3, tree_root(leaves(3)), [])
    with pytest.raises(NotProven):
        inclusion_root(leaf_hash(b""), 0, 2**70, [leaf_hash(b"")] * 65)
