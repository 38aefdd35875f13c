// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package runcommand

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Search looks for a command whose send got no clear answer. Not finding it proves nothing: lists lag, and a look-up by
// instance misses commands that have not reached the node yet.
type Search struct {
	// Comment is the comment that the command was sent with, unique to it.
	Comment string
	// InstanceID is the node that it was sent to.
	InstanceID string
	// After and Before bound the time of the send, by our clock.
	After, Before time.Time
	// Until is when the search ends by itself, so that one that nobody asks for any more does not go on forever.
	Until time.Time
	// Notify is called, without a lock held, after each look.
	Notify func()
}

// SearchResult is what a search has found so far.
type SearchResult struct {
	// Found is the command; its ID is empty as long as it was not found.
	Found Command
	// LookTime is when a look last succeeded; zero before that.
	LookTime time.Time
	// Err is the error of the last look; nil after a good one.
	Err error
}

// lookInterval is the time between two looks for the same command: a look may cost several pages.
const lookInterval = 5 * time.Second

type search struct {
	Search
	SearchResult
	// number is in the order in which searches began.
	number int
	// tryTime is when the last look was begun, successful or not.
	tryTime time.Time
}

// Search starts to look for a command, again and again until it is found or EndSearch is called, and returns what was
// found so far.
func (t *Tracker) Search(s Search) SearchResult {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.searches[s.Comment]
	if !ok {
		t.tracked++
		known = &search{Search: s, number: t.tracked}
		t.searches[s.Comment] = known
		t.wake()
	}
	return known.SearchResult
}

// EndSearch stops looking.
func (t *Tracker) EndSearch(comment string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.searches, comment)
}

// dueSearches returns what is to be looked for now, and drops what is not looked for any more.
func (t *Tracker) dueSearches() []Search {
	t.mu.Lock()
	defer t.mu.Unlock()
	var open []Search
	maps.DeleteFunc(t.searches, func(_ string, s *search) bool { return t.clock.Now().After(s.Until) })
	inOrder := slices.SortedFunc(maps.Values(t.searches), func(a, b *search) int { return a.number - b.number })
	for _, s := range inOrder {
		if s.Found.ID == "" && t.clock.Since(s.tryTime) >= lookInterval {
			s.tryTime = t.clock.Now()
			open = append(open, s.Search)
		}
	}
	return open
}

// lookFor looks once for each of them, and reports whether AWS is in a state to answer.
func (t *Tracker) lookFor(ctx context.Context, open []Search) bool {
	ok := true
	for _, s := range open {
		found, err := t.look(ctx, s)
		t.mu.Lock()
		known, still := t.searches[s.Comment]
		if still {
			known.Found, known.Err = found, err
			if err == nil {
				known.LookTime = t.clock.Now()
			}
		}
		t.mu.Unlock()
		if still && s.Notify != nil {
			s.Notify()
		}
		ok = ok && !overloaded(err)
	}
	return ok
}

// look asks for the commands of the node first, and then, for one that has not reached the node, for those of the time.
func (t *Tracker) look(ctx context.Context, s Search) (Command, error) {
	around := CommandFilter{After: s.After.Add(-clockSkew), Before: s.Before.Add(clockSkew)}
	ofNode := around
	ofNode.InstanceID = s.InstanceID
	for _, filter := range []CommandFilter{ofNode, around} {
		for c, err := range t.service.Commands(ctx, filter) {
			if err != nil && Classify(err) == InvalidInstance {
				break // The node is gone by now; the command may be there all the same.
			}
			if err != nil {
				return Command{}, err
			}
			if c.Comment == s.Comment {
				return c, nil
			}
		}
	}
	return Command{}, nil
}
