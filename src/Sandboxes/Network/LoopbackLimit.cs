using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Network;

/// <summary>One nft rule in a sandbox's own network that bounds the rate of its connections to itself.</summary>
/// <remarks>
/// A connection that is not accepted is charged to no sandbox, and a program can make tens of thousands a second. The rule is
/// <c>tcp flags syn / syn,ack limit rate over N/second burst N packets drop</c>. It is sent to the kernel by netlink, because to start the tool in
/// each network would take longer than all other steps of making one. It drops the first packet of a connection, which is sent again after a second.
/// </remarks>
internal static class LoopbackLimit
{
    private const int NetlinkFamily = 16;
    private const int NetlinkOfNetfilter = 12;
    private const int Raw = 3 | Libc.CloseOnExec;
    private const byte InterNetwork = 2;

    private const ushort BatchBegin = 0x10;
    private const ushort BatchEnd = 0x11;
    private const ushort NewTable = 0xa00;
    private const ushort NewChain = 0xa03;
    private const ushort NewRule = 0xa06;
    private const ushort Request = 1;
    private const ushort Acknowledge = 4;
    private const ushort Create = 0x400;
    private const int SubsystemOfTables = 10;
    private const ushort ErrorAnswer = 2;
    private const int ErrorOffset = 16;

    private const string Table = "frusta";
    private const string Chain = "input";
    private const uint FirstRegister = 1;
    private const uint VerdictRegister = 0;
    private const byte Tcp = 6;
    private const byte SynAndAck = 0x12;
    private const byte Syn = 0x02;

    /// <summary>Sets the limit in the network of the calling thread.</summary>
    /// <returns>False where the kernel has no such rules.</returns>
    internal static bool TrySet(int connectionsPerSecond)
    {
        using var kernel = new SafeFileHandle(Libc.OpenSocket(NetlinkFamily, Raw, NetlinkOfNetfilter), ownsHandle: true);
        return !kernel.IsInvalid && Send(kernel, Batch(connectionsPerSecond)) && ReadAnswer(kernel) == 0;
    }

    private static unsafe bool Send(SafeFileHandle kernel, ReadOnlySpan<byte> batch)
    {
        fixed (byte* first = batch)
        {
            return Libc.Write(kernel, first, (nuint)batch.Length) == batch.Length;
        }
    }

    /// <summary>Reads the kernel's answer, which is there when the write returns: 0 when it has the rule, else the error of its first refusal, or -1.</summary>
    private static unsafe int ReadAnswer(SafeFileHandle kernel)
    {
        var answer = stackalloc byte[4096];
        var length = Libc.Read(kernel, answer, 4096);
        return length >= ErrorOffset + 4 && *(ushort*)(answer + 4) == ErrorAnswer ? *(int*)(answer + ErrorOffset) : -1;
    }

    private static byte[] Batch(int connectionsPerSecond)
    {
        var batch = new Words();
        batch.Message(BatchBegin, Request, 0, SubsystemOfTables, static _ => { });
        batch.Message(NewTable, Request | Create, InterNetwork, 0, static table => table.Text(1, Table));
        batch.Message(NewChain, Request | Create, InterNetwork, 0, static chain =>
        {
            chain.Text(1, Table);
            chain.Text(3, Chain);
            chain.Nest(4, static hook =>
            {
                hook.Number(1, 1); // packets for this host
                hook.Number(2, 0);
            });
            chain.Text(7, "filter");
        });
        batch.Message(NewRule, Request | Create | Acknowledge, InterNetwork, 0, rule =>
        {
            rule.Text(1, Table);
            rule.Text(2, Chain);
            rule.Nest(4, expressions => Rule(expressions, (uint)connectionsPerSecond));
        });
        batch.Message(BatchEnd, Request, 0, SubsystemOfTables, static _ => { });
        return batch.ToArray();
    }

    private static void Rule(Words expressions, uint rate)
    {
        expressions.Expression("meta", static meta =>
        {
            meta.Number(1, FirstRegister);
            meta.Number(2, 16); // protocol of the transport
        });
        expressions.Expression("cmp", static compare => IsEqual(compare, Tcp));
        expressions.Expression("payload", static flags =>
        {
            flags.Number(1, FirstRegister);
            flags.Number(2, 2); // from the transport's header on
            flags.Number(3, 13);
            flags.Number(4, 1);
        });
        expressions.Expression("bitwise", static and =>
        {
            and.Number(1, FirstRegister);
            and.Number(2, FirstRegister);
            and.Number(3, 1);
            and.Nest(4, static mask => mask.Byte(1, SynAndAck));
            and.Nest(5, static flip => flip.Byte(1, 0));
        });
        expressions.Expression("cmp", static compare => IsEqual(compare, Syn));
        expressions.Expression("limit", limit =>
        {
            limit.LongNumber(1, rate);
            limit.LongNumber(2, 1); // a second
            limit.Number(3, rate); // packets at once
            limit.Number(4, 0); // packets
            limit.Number(5, 1); // matches packets over the limit
        });
        expressions.Expression("immediate", static verdict =>
        {
            verdict.Number(1, VerdictRegister);
            verdict.Nest(2, static data => data.Nest(2, static drop => drop.Number(1, 0)));
        });
    }

    private static void IsEqual(Words compare, byte value)
    {
        compare.Number(1, FirstRegister);
        compare.Number(2, 0);
        compare.Nest(3, data => data.Byte(1, value));
    }

    /// <summary>Messages of netlink and their attributes: length and type first, each padded to four bytes, numbers with the high byte first.</summary>
    private sealed class Words
    {
        private const ushort Nested = 0x8000;

        private readonly List<byte> _bytes = [];
        private int _sequence;

        internal byte[] ToArray() => [.. _bytes];

        internal void Message(ushort type, int flags, byte family, ushort resource, Action<Words> write)
        {
            var start = _bytes.Count;
            Span<byte> header = stackalloc byte[20];
            header.Clear();
            BinaryPrimitives.WriteUInt16LittleEndian(header[4..], type);
            BinaryPrimitives.WriteUInt16LittleEndian(header[6..], (ushort)flags);
            BinaryPrimitives.WriteInt32LittleEndian(header[8..], _sequence++);
            header[16] = family;
            BinaryPrimitives.WriteUInt16BigEndian(header[18..], resource);
            _bytes.AddRange(header);
            write(this);
            BinaryPrimitives.WriteInt32LittleEndian(CollectionsMarshal.AsSpan(_bytes)[start..], _bytes.Count - start);
        }

        internal void Expression(string name, Action<Words> write) => Nest(1, element =>
        {
            element.Text(1, name);
            element.Nest(2, write);
        });

        internal void Nest(ushort type, Action<Words> write)
        {
            var start = _bytes.Count;
            Header((ushort)(type | Nested), 0);
            write(this);
            BinaryPrimitives.WriteUInt16LittleEndian(CollectionsMarshal.AsSpan(_bytes)[start..], (ushort)(_bytes.Count - start));
        }

        internal void Text(ushort type, string text) => Value(type, [.. Encoding.ASCII.GetBytes(text), 0]);

        internal void Byte(ushort type, byte value) => Value(type, [value]);

        internal void Number(ushort type, uint value)
        {
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
            Value(type, bytes);
        }

        internal void LongNumber(ushort type, ulong value)
        {
            Span<byte> bytes = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
            Value(type, bytes);
        }

        private void Value(ushort type, ReadOnlySpan<byte> value)
        {
            Header(type, value.Length);
            _bytes.AddRange(value);
            while (_bytes.Count % 4 != 0)
            {
                _bytes.Add(0);
            }
        }

        private void Header(ushort type, int length)
        {
            Span<byte> header = stackalloc byte[4];
            BinaryPrimitives.WriteUInt16LittleEndian(header, (ushort)(4 + length));
            BinaryPrimitives.WriteUInt16LittleEndian(header[2..], type);
            _bytes.AddRange(header);
        }
    }
}
