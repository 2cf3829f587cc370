package ui

import (
	"encoding/json"
	"fmt"
)

// toldOfUnit says what a unit went through, and what its data plane did by itself; "" for what it has no words for.
func toldOfUnit(out *entry, name string) string {
	who := person(out.Actor)
	var d struct {
		Unit, Instance, Reason string
		Before, Instances      int
	}
	_ = json.Unmarshal(out.Data, &d) // what cannot be read is told without
	switch out.Type {
	case "unit.cordoned":
		out.Tone, out.Reason = "hold", quoted(out.Data)
		return who + " lets nothing new be brought to unit " + name
	case "unit.drained":
		out.Tone, out.Reason = "hold", quoted(out.Data)
		return who + " takes unit " + name + " out of service"
	case "unit.returned":
		out.Tone, out.Reason = "pass", quoted(out.Data)
		return who + " brings unit " + name + " back"
	case "unit.left":
		return "Unit " + name + " asks its users to go elsewhere"
	case "unit.rested":
		return "Unit " + name + " is out of service: its instances are stopped"
	case "unit.restarted":
		return "Unit " + name + " starts its instances again"
	case "unit.served":
		return "Unit " + name + " serves again"
	case "instances.scaled":
		out.Reason = sentenceCase(d.Reason)
		return fmt.Sprintf("%s has %d instances of each version in unit %s, after %d", name, d.Instances, d.Unit, d.Before)
	case "instance.restarted":
		out.Tone, out.Reason = "hold", sentenceCase(d.Reason)
		return fmt.Sprintf("%s in unit %s was started again", d.Instance, d.Unit)
	}
	return toldOfDatabase(out, name)
}

// toldOfDatabase says what became of the schema of a database.
func toldOfDatabase(out *entry, name string) string {
	who := person(out.Actor)
	var d struct{ Migration, Version, Previous, Reason string }
	_ = json.Unmarshal(out.Data, &d) // what cannot be read is told without
	switch out.Type {
	case "schema.starting":
		out.Reason = quoted(out.Data)
		return fmt.Sprintf("%s started migration %s of database %s: %s beside %s", who, d.Migration, name, d.Version, d.Previous)
	case "schema.started":
		return fmt.Sprintf("Database %s has version %s of its schema beside %s", name, d.Version, d.Previous)
	case "schema.completing":
		out.Reason = quoted(out.Data)
		return fmt.Sprintf("%s asked to take version %s of database %s away", who, d.Previous, name)
	case "schema.completed":
		out.Tone = "pass"
		return fmt.Sprintf("Database %s has only version %s of its schema", name, d.Version)
	case "schema.returning":
		out.Tone, out.Reason = "hold", quoted(out.Data)
		return fmt.Sprintf("%s asked to take version %s of database %s back", who, d.Version, name)
	case "schema.rolled-back":
		out.Tone = "hold"
		return fmt.Sprintf("Database %s has version %s of its schema again", name, d.Previous)
	case "schema.refused":
		out.Tone, out.Reason = "fail", sentenceCase(d.Reason)
		return fmt.Sprintf("Migration %s of database %s did not go on", d.Migration, name)
	case "schema.seen":
		return "The live versions of database " + name + " were looked up"
	}
	return ""
}
