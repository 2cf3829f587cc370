package fleet

import (
	"cmp"
	"slices"
)

// Together is what several units report of a service, as one: what there is of a version is added up, and in force is
// what is so everywhere.
func Together(units []ServiceStatus) ServiceStatus {
	var all ServiceStatus
	for i, s := range units {
		if all.Name = cmp.Or(all.Name, s.Name); i == 0 || s.Generation < all.Generation {
			all.Generation = s.Generation
		}
		for _, slot := range s.Slots {
			k := slices.IndexFunc(all.Slots, func(o SlotStatus) bool { return o.Version == slot.Version })
			if k < 0 {
				all.Slots = append(all.Slots, SlotStatus{Version: slot.Version})
				k = len(all.Slots) - 1
			}
			sum := &all.Slots[k]
			sum.Ready, sum.Wanted, sum.InFlight = sum.Ready+slot.Ready, sum.Wanted+slot.Wanted, sum.InFlight+slot.InFlight
			sum.Failure, sum.Instances = cmp.Or(sum.Failure, slot.Failure), append(sum.Instances, slot.Instances...)
		}
		for _, u := range s.Users {
			k := slices.IndexFunc(all.Users, func(o UserCount) bool { return o.Ring == u.Ring && o.Version == u.Version })
			if k < 0 {
				all.Users = append(all.Users, u)
				continue
			}
			all.Users[k].Users, all.Users[k].Recent = all.Users[k].Users+u.Users, all.Users[k].Recent+u.Recent
		}
	}
	slices.SortFunc(all.Slots, func(a, b SlotStatus) int { return cmp.Compare(a.Version, b.Version) })
	return all
}
