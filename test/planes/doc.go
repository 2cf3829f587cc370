// Package planes runs several control planes on one PostgreSQL, as a company does that loses one of them without a pause: what they all see is
// told once, and recorded once.
package planes
