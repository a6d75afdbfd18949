// Reads a log that writ serves as C2SP tlog-tiles do, with the clients that
// others wrote: the checkpoint and the tiles with Tessera's, the proofs with
// transparency-dev/merkle, the witness's cosignature with
// transparency-dev/formats. Nothing of writ is in here.
//
//	tiles URL LOG-KEY ORIGIN WITNESS-KEY, the token in WRIT_TOKEN
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"

	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

var hasher = rfc6962.DefaultHasher

func main() {
	if len(os.Args) != 5 {
		fail("usage", fmt.Errorf("tiles URL LOG-KEY ORIGIN WITNESS-KEY"))
	}
	base, logKey, origin, witnessKey := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ctx := context.Background()
	at, err := url.Parse(base)
	check("the URL", err)
	log, err := client.NewHTTPFetcher(at, nil)
	check("the fetcher", err)
	log.SetAuthorizationHeader("Bearer " + os.Getenv("WRIT_TOKEN"))

	verifier, err := note.NewVerifier(logKey)
	check("the log's key", err)
	signed, raw, _, err := client.FetchCheckpoint(ctx, log.ReadCheckpoint, verifier, origin)
	check("the checkpoint", err)
	fmt.Println("the checkpoint is signed by the log")

	witness, err := formats.NewVerifierForCosignatureV1(witnessKey)
	check("the witness's key", err)
	_, err = note.Open(raw, note.VerifierList(witness))
	check("the cosignature", err)
	fmt.Println("the checkpoint is cosigned by the witness")

	roots := included(ctx, log, signed.Size, signed.Hash)
	consistent(ctx, log, roots)
	fmt.Fprintln(os.Stderr, "entries:", signed.Size)
}

// Proves every entry to be in the tree; returns the root at each size.
func included(ctx context.Context, log *client.HTTPFetcher, size uint64, root []byte) [][]byte {
	proofs, err := client.NewProofBuilder(ctx, size, log.ReadTile)
	check("the tiles", err)
	grown := (&compact.RangeFactory{Hash: hasher.HashChildren}).NewEmptyRange(0)
	roots := [][]byte{hasher.EmptyRoot()}
	for bundle := uint64(0); bundle*256 < size; bundle++ {
		entries, err := client.GetEntryBundle(ctx, log.ReadEntryBundle, bundle, size)
		check("an entry bundle", err)
		for _, entry := range entries.Entries {
			index, leaf := grown.End(), hasher.HashLeaf(entry)
			path, err := proofs.InclusionProof(ctx, index)
			check("an inclusion proof", err)
			check("an inclusion proof", proof.VerifyInclusion(hasher, index, size, leaf, path, root))
			check("the tree", grown.Append(leaf, nil))
			now, err := grown.GetRootHash(nil)
			check("the tree", err)
			roots = append(roots, now)
		}
	}
	if grown.End() != size || string(roots[size]) != string(root) {
		fail("the tree", fmt.Errorf("its %d entries do not have the signed root", grown.End()))
	}
	fmt.Println("every entry is in the tree, and the tree has the signed root")
	return roots
}

// Proves the signed tree to extend what it was at every size before.
func consistent(ctx context.Context, log *client.HTTPFetcher, roots [][]byte) {
	size := uint64(len(roots) - 1)
	proofs, err := client.NewProofBuilder(ctx, size, log.ReadTile)
	check("the tiles", err)
	for before := uint64(1); before < size; before++ {
		path, err := proofs.ConsistencyProof(ctx, before, size)
		check("a consistency proof", err)
		err = proof.VerifyConsistency(hasher, before, size, path, roots[before], roots[size])
		check("a consistency proof", err)
	}
	fmt.Println("the tree extends what it was at every size before")
}

func check(what string, err error) {
	if err != nil {
		fail(what, err)
	}
}

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "REFUSED: %s: %v\n", what, err)
	os.Exit(3)
}
