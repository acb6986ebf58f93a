/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The namespace of the platform: host bridge, serial port, processors, power-off.
 * The numbers are those of map.h. WMIN, WMAX and NCPU are patched when a guest
 * is made; their values here only keep eight bytes of AML for them.
 */
DefinitionBlock ("", "DSDT", 2, "BARKEP", "BARKEEP", 1)
{
	/* SLP_TYP of the only sleep state, soft off. */
	Name (\_S5, Package () { 5, 5, 0, 0 })

	Scope (\_SB)
	{
		Name (WMIN, 0xF000000000000001)	/* 64-bit window, first byte; above WMAX if there is none */
		Name (WMAX, 0xF000000000000002)	/* last byte */
		Name (NCPU, 0xF000000000000003)	/* processors */

		Method (HERE, 1, NotSerialized)
		{
			If (Arg0 < NCPU)
			{
				Return (0x0F)
			}
			Return (0)
		}
		Device (CP00) { Name (_HID, "ACPI0007") Name (_UID, 0) Method (_STA) { Return (HERE (0)) } }
		Device (CP01) { Name (_HID, "ACPI0007") Name (_UID, 1) Method (_STA) { Return (HERE (1)) } }
		Device (CP02) { Name (_HID, "ACPI0007") Name (_UID, 2) Method (_STA) { Return (HERE (2)) } }
		Device (CP03) { Name (_HID, "ACPI0007") Name (_UID, 3) Method (_STA) { Return (HERE (3)) } }
		Device (CP04) { Name (_HID, "ACPI0007") Name (_UID, 4) Method (_STA) { Return (HERE (4)) } }
		Device (CP05) { Name (_HID, "ACPI0007") Name (_UID, 5) Method (_STA) { Return (HERE (5)) } }
		Device (CP06) { Name (_HID, "ACPI0007") Name (_UID, 6) Method (_STA) { Return (HERE (6)) } }
		Device (CP07) { Name (_HID, "ACPI0007") Name (_UID, 7) Method (_STA) { Return (HERE (7)) } }
		Device (CP08) { Name (_HID, "ACPI0007") Name (_UID, 8) Method (_STA) { Return (HERE (8)) } }
		Device (CP09) { Name (_HID, "ACPI0007") Name (_UID, 9) Method (_STA) { Return (HERE (9)) } }
		Device (CP10) { Name (_HID, "ACPI0007") Name (_UID, 10) Method (_STA) { Return (HERE (10)) } }
		Device (CP11) { Name (_HID, "ACPI0007") Name (_UID, 11) Method (_STA) { Return (HERE (11)) } }
		Device (CP12) { Name (_HID, "ACPI0007") Name (_UID, 12) Method (_STA) { Return (HERE (12)) } }
		Device (CP13) { Name (_HID, "ACPI0007") Name (_UID, 13) Method (_STA) { Return (HERE (13)) } }
		Device (CP14) { Name (_HID, "ACPI0007") Name (_UID, 14) Method (_STA) { Return (HERE (14)) } }
		Device (CP15) { Name (_HID, "ACPI0007") Name (_UID, 15) Method (_STA) { Return (HERE (15)) } }

		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_SEG, 0)
			Name (_BBN, 0)

			Name (LOW, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0x00, 0xFF, 0, 0x100)
				IO (Decode16, 0xCF8, 0xCF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0000, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0D00, 0xFFFF, 0, 0xF300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0xA0000, 0xBFFFF, 0, 0x20000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0, 0xC0000000, 0xDFFFFFFF, 0, 0x20000000)
			})
			Name (HIGH, ResourceTemplate ()
			{
				QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0, 0, 0, 0, 1, , , WIN)
			})

			Method (_CRS, 0, Serialized)
			{
				If (WMIN > WMAX)
				{
					Return (LOW)
				}
				CreateQWordField (HIGH, ^WIN._MIN, FRST)
				CreateQWordField (HIGH, ^WIN._MAX, LAST)
				CreateQWordField (HIGH, ^WIN._LEN, SIZE)
				FRST = WMIN
				LAST = WMAX
				SIZE = WMAX - WMIN + 1
				Return (ConcatenateResTemplate (LOW, HIGH))
			}

			/*
			 * PCI Firmware Specification 3.2, 4.5.1. The guest gets native hot-plug, PME, AER
			 * and the capability structures.
			 */
			Method (_OSC, 4, Serialized)
			{
				CreateDWordField (Arg3, 0, STAT)
				If (Arg0 != ToUUID ("33DB4D5B-1FF7-401C-9657-7441C03DD766") || Arg2 < 3)
				{
					STAT |= 0x04	/* unrecognised UUID */
					Return (Arg3)
				}
				CreateDWordField (Arg3, 8, CTRL)
				If (Arg1 != 1)
				{
					STAT |= 0x08	/* unrecognised revision */
				}
				Local0 = CTRL & 0x1D
				If (Local0 != CTRL)
				{
					STAT |= 0x10	/* some were masked */
				}
				CTRL = Local0
				Return (Arg3)
			}

			/* Slot S, pin P (0 is INTA#) is on GSI 16 + (S + P) % 8. */
			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (128) {}
				Local1 = 0
				While (Local1 < 128)
				{
					Local2 = Package (4) { 0, 0, 0, 0 }
					Local2 [0] = ((Local1 >> 2) << 16) | 0xFFFF
					Local2 [1] = Local1 & 3
					Local2 [3] = 16 + (((Local1 >> 2) + (Local1 & 3)) & 7)
					Local0 [Local1] = Local2
					Local1++
				}
				Return (Local0)
			}

			Device (COM1)
			{
				Name (_HID, EisaId ("PNP0501"))
				Name (_UID, 1)
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, 0x03F8, 0x03F8, 0, 8)
					IRQNoFlags () { 4 }
				})
			}
		}

		/* ECAM, which an OS does not believe in unless it is reserved here; PM1a and reset registers. */
		Device (MOTH)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xE0000000, 0x10000000)
				IO (Decode16, 0x0600, 0x0600, 0, 9)
			})
		}
	}
}
