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
	return ""
}
