// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import (
	"math/rand/v2"
	"testing"
)

// Tape turns the bytes of a fuzzer into choices. After its end every choice is the first one.
type Tape []byte

// Below chooses a number from 0 on.
func (t *Tape) Below(n int) int {
	if len(*t) == 0 {
		return 0
	}
	next := (*t)[0]
	*t = (*t)[1:]
	return int(next) % n
}

// Coin chooses between no, which is the first choice, and yes.
func (t *Tape) Coin() bool { return t.Below(2) == 1 }

// Choose chooses one of some things.
func Choose[T any](t *Tape, of ...T) T { return of[t.Below(len(of))] }

// Tapes are so many tapes to begin with, of that length at most, always the same ones.
func Tapes(t testing.TB, count, length int) [][]byte {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	tapes := [][]byte{nil}
	for range count {
		data := make([]byte, 1+random.Uint64()%uint64(length))
		if _, err := random.Read(data); err != nil {
			t.Fatal(err)
		}
		tapes = append(tapes, data)
	}
	return tapes
}
