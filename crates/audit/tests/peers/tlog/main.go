// Verifies a tlog-tiles folder with Go's own checksum-database packages (golang.org/x/mod/sumdb), which share no code
// with ours: the checkpoint's signature, every tile, every entry, inclusion and consistency proofs.
//
//	tlog FOLDER VKEY [OLD-CHECKPOINT [PROOF-FILE [COSIGNER-NAME]]]
//
// It prints the size and the root, or what is wrong, and ends with 1.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	dir := args[0]
	verifier, err := note.NewVerifier(args[1])
	if err != nil {
		return err
	}
	tree, err := open(filepath.Join(dir, "checkpoint"), verifier)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, tiles(dir))
	if err := entries(dir, tree, reader); err != nil {
		return err
	}
	for n := int64(0); n < tree.N; n += tree.N/50 + 1 {
		if err := included(n, tree, reader); err != nil {
			return err
		}
	}
	for n := int64(1); n <= tree.N; n += tree.N/50 + 1 {
		old, err := tlog.TreeHash(n, reader)
		if err != nil {
			return err
		}
		if err := consistent(tlog.Tree{N: n, Hash: old}, tree, reader); err != nil {
			return err
		}
	}
	if len(args) > 2 && args[2] != "" {
		old, err := open(args[2], verifier)
		if err != nil {
			return err
		}
		if err := consistent(old, tree, reader); err != nil {
			return err
		}
	}
	if len(args) > 3 {
		if err := proofFile(args[3], verifier); err != nil {
			return err
		}
	}
	fmt.Printf("%d entries, root %x\n", tree.N, tree.Hash[:])
	return nil
}

// open reads a signed checkpoint (c2sp.org/tlog-checkpoint).
func open(path string, verifier note.Verifier) (tlog.Tree, error) {
	signed, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	return checkpoint(signed, verifier)
}

func checkpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// tiles reads tiles of height 8 by the names that c2sp.org/tlog-tiles gives them.
type tiles string

func (dir tiles) Height() int { return 8 }

func (dir tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range wanted {
		data, err := file(string(dir), strconv.Itoa(tile.L), tile.N, tile.W)
		if err != nil {
			return nil, err
		}
		if len(data) < 32*tile.W {
			return nil, fmt.Errorf("a tile of level %d is too short", tile.L)
		}
		out = append(out, data[:32*tile.W])
	}
	return out, nil
}

func (dir tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// file is a tile or an entry bundle, the full one where the partial one is gone.
func file(dir, level string, n int64, width int) ([]byte, error) {
	name := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	full := filepath.Join(dir, "tile", level, name)
	if width < 256 {
		if data, err := os.ReadFile(full + ".p/" + strconv.Itoa(width)); err == nil {
			return data, nil
		}
	}
	return os.ReadFile(full)
}

// entries holds every entry against the hash that the tree has for it.
func entries(dir string, tree tlog.Tree, reader tlog.HashReader) error {
	for first := int64(0); first < tree.N; first += 256 {
		width := int64(256)
		if tree.N-first < width {
			width = tree.N - first
		}
		data, err := file(dir, "entries", first/256, int(width))
		if err != nil {
			return err
		}
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		hashes, err := reader.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i := range hashes {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("the bundle of entry %d is too short", first)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:end]) != hashes[i] {
				return fmt.Errorf("entry %d is not the one in the tree", first+int64(i))
			}
			data = data[end:]
		}
		if len(data) != 0 && width < 256 {
			continue // A full bundle where a partial one was asked for.
		}
		if len(data) != 0 {
			return fmt.Errorf("the bundle of entry %d is too long", first)
		}
	}
	return nil
}

func included(n int64, tree tlog.Tree, reader tlog.HashReader) error {
	leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(tree.N, n, reader)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaf[0])
}

func consistent(old, tree tlog.Tree, reader tlog.HashReader) error {
	if old.N == 0 || old.N > tree.N {
		return fmt.Errorf("a tree of %d entries is not the start of one of %d", old.N, tree.N)
	}
	proof, err := tlog.ProveTree(tree.N, old.N, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

// proofFile checks a proof (c2sp.org/tlog-proof) whose extra data is the entry.
func proofFile(path string, verifier note.Verifier) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, signed, ok := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a proof with an entry in it")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := checkpoint(signed, verifier)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}
