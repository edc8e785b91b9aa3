using System.Buffers;
using System.Numerics;
using Frusta.Contracts.Buffers;

namespace Frusta.Contracts.Json;

/// <summary>The top-level members of one object, found by their unescaped names in constant time, however many a client sends.</summary>
internal ref struct MemberTable
{
    private readonly PooledBuffer _text;
    private PooledBuffer? _unescaped;
    private Member[] _members;
    private int[] _slots = [];
    private int _mask;

    /// <param name="text">The buffer with the object, compact; all positions are positions in it.</param>
    public MemberTable(PooledBuffer text)
    {
        _text = text;
        _members = ArrayPool<Member>.Shared.Rent(16);
    }

    public int Count { get; private set; }

    public readonly Span<Member> Members => _members.AsSpan(0, Count);

    /// <summary>Hash of an unescaped name. It has another seed in each process, so that a client cannot prepare names that collide.</summary>
    public static int Hash(ReadOnlySpan<byte> name)
    {
        var hash = default(HashCode);
        hash.AddBytes(name);
        return hash.ToHashCode();
    }

    /// <summary>Notes the name that starts, with its quote, at <paramref name="start"/>. <see cref="EndValue"/> gives the end of its value.</summary>
    public void Add(int start, ReadOnlySpan<byte> name, bool escaped)
    {
        if (Count == _members.Length)
        {
            var larger = ArrayPool<Member>.Shared.Rent(Count * 2);
            _members.AsSpan(0, Count).CopyTo(larger);
            ArrayPool<Member>.Shared.Return(_members);
            _members = larger;
        }

        var nameStart = start + 1;
        var nameLength = name.Length;
        if (escaped)
        {
            _unescaped ??= PooledBuffer.Rent(name.Length);
            nameStart = _unescaped.Length;
            nameLength = JsonText.Unescape(name, _unescaped.GetSpan(name.Length));
            _unescaped.Advance(nameLength);
            name = _unescaped.Span[nameStart..];
        }

        _members[Count++] = new Member
        {
            Start = start,
            NameStart = nameStart,
            NameLength = nameLength,
            NameIsApart = escaped,
            Hash = Hash(name),
        };
    }

    public readonly void EndValue(int end) => _members[Count - 1].End = end;

    /// <summary>Indexes the members, and marks those whose name a later one has too. True when there are any.</summary>
    public bool MarkRepeated()
    {
        var size = (int)BitOperations.RoundUpToPowerOf2((uint)(Count * 2) | 16);
        _slots = ArrayPool<int>.Shared.Rent(size);
        _slots.AsSpan(0, size).Fill(-1);
        _mask = size - 1;
        var repeated = false;
        for (var i = 0; i < Count; i++)
        {
            var slot = Slot(Name(_members[i]), _members[i].Hash);
            if (_slots[slot] >= 0)
            {
                _members[_slots[slot]].Repeated = true;
                repeated = true;
            }

            _slots[slot] = i;
        }

        return repeated;
    }

    /// <summary>True when a member has this unescaped name. Only after <see cref="MarkRepeated"/>.</summary>
    public readonly bool Contains(ReadOnlySpan<byte> name, int hash) => _slots[Slot(name, hash)] >= 0;

    /// <summary>Gives the arrays back.</summary>
    public void Dispose()
    {
        ArrayPool<Member>.Shared.Return(_members);
        if (_slots.Length > 0)
        {
            ArrayPool<int>.Shared.Return(_slots);
        }

        _unescaped?.Dispose();
    }

    private readonly int Slot(ReadOnlySpan<byte> name, int hash)
    {
        for (var slot = hash & _mask; ; slot = (slot + 1) & _mask)
        {
            var index = _slots[slot];
            if (index < 0 || (_members[index].Hash == hash && Name(_members[index]).SequenceEqual(name)))
            {
                return slot;
            }
        }
    }

    private readonly ReadOnlySpan<byte> Name(in Member member) =>
        (member.NameIsApart ? _unescaped! : _text).Span.Slice(member.NameStart, member.NameLength);

    internal struct Member
    {
        /// <summary>Position of the quote before the name.</summary>
        public int Start;

        /// <summary>Position behind the value.</summary>
        public int End;

        /// <summary>Position of the unescaped name: in the text, or in a buffer of unescaped names when it was escaped.</summary>
        public int NameStart;
        public int NameLength;
        public bool NameIsApart;
        public int Hash;

        /// <summary>True when a later member has the same name.</summary>
        public bool Repeated;

        public void MoveTo(int start)
        {
            NameStart -= NameIsApart ? 0 : Start - start;
            End -= Start - start;
            Start = start;
        }
    }
}
