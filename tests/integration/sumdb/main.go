// Checks a log directory with Go's own golang.org/x/mod/sumdb: the checkpoint's note, every tile, every
// entry, and proofs. Nothing here is Provost's: only the names of files follow c2sp.org/tlog-tiles,
// where Go's have the tile height in them.
//
//	sumdb VERIFIER-KEY-FILE LOG-DIR
//	sumdb VERIFIER-KEY-FILE -proof PROOF-FILE ENTRY-FILE
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func open(keyFile string, msg []byte) (tlog.Tree, error) {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tlog.Tree{}, err
	}
	var known []note.Verifier
	for _, line := range strings.Split(strings.TrimSpace(string(key)), "\n") {
		verifier, err := note.NewVerifier(line)
		if err != nil {
			return tlog.Tree{}, err
		}
		known = append(known, verifier)
	}
	n, err := note.Open(msg, note.VerifierList(known...))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != known[0].Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of that log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

type files struct{ dir string }

func (f files) Height() int { return 8 }

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		data, err := os.ReadFile(filepath.Join(f.dir, "tile", strings.TrimPrefix(t.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f files) SaveTiles([]tlog.Tile, [][]byte) {}

func bundle(dir string, n int64, width int) ([]byte, error) {
	path := tlog.Tile{H: 8, L: -1, N: n, W: width}.Path()
	return os.ReadFile(filepath.Join(dir, "tile/entries", strings.TrimPrefix(path, "tile/8/data/")))
}

func checkLog(keyFile, dir string) error {
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := open(keyFile, msg)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, files{dir})
	for n := int64(0); n*256 < tree.N; n++ {
		width := 256
		if left := tree.N - n*256; left < 256 {
			width = int(left)
		}
		data, err := bundle(dir, n, width)
		if err != nil {
			return err
		}
		for i := 0; i < width; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("bundle %d is short", n)
			}
			length := int(binary.BigEndian.Uint16(data))
			id := n*256 + int64(i)
			want, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, id)})
			if err != nil {
				return err
			}
			if tlog.RecordHash(data[2:2+length]) != want[0] {
				return fmt.Errorf("entry %d is not the one that was signed", id)
			}
			data = data[2+length:]
		}
		if len(data) != 0 {
			return fmt.Errorf("bundle %d has bytes behind its entries", n)
		}
	}
	for _, older := range []int64{1, tree.N / 3, tree.N - 1} {
		if older < 1 {
			continue
		}
		root, err := tlog.TreeHash(older, hashes)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, older, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, older, root); err != nil {
			return err
		}
	}
	fmt.Printf("%d entries\n", tree.N)
	return nil
}

func checkProof(keyFile, proofFile, entryFile string) error {
	text, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(entryFile)
	if err != nil {
		return err
	}
	head, msg, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return errors.New("a hash of the proof is malformed")
		}
		var h tlog.Hash
		copy(h[:], raw)
		proof = append(proof, h)
	}
	tree, err := open(keyFile, msg)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

func main() {
	err := errors.New("usage: sumdb KEY-FILE LOG-DIR | sumdb KEY-FILE -proof PROOF ENTRY")
	if len(os.Args) == 3 {
		err = checkLog(os.Args[1], os.Args[2])
	} else if len(os.Args) == 5 && os.Args[2] == "-proof" {
		err = checkProof(os.Args[1], os.Args[3], os.Args[4])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
