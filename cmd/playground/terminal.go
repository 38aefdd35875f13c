// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// say prints one line of the story.
func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// chapter prints a headline.
func chapter(title string) { say("\n== %s", title) }
