// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd reads the schemas of config/crd/bases, for tests that have to hold for fields that are yet to come as well. It
// does three things with them:
//
//	Mutations  changes a valid object field by field, in all ways in which people and tools get a field wrong
//	Maker      makes objects up that the schema admits, as the bytes of a fuzzer choose
//	NewServer  stands in for an API server where a test needs thousands of writes a second: it fills in defaults, counts
//	           generations and refuses what the schema does
//
// None of them evaluates CEL. Mutations are for a real API server, which does; a Maker is told the rules, and a test lets a
// real API server confirm that it keeps them; a Server takes what a Maker has made.
package crd
