using System.Text.Json;
using System.Text.Unicode;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;

namespace Frusta.Contracts.Parameters;

/// <summary>The outcome of a merge.</summary>
public enum MergeOutcome : byte
{
    Merged,

    /// <summary>Not one JSON value in UTF-8, or nested deeper than <see cref="JsonBounds.MaxDepth"/>.</summary>
    Malformed,

    /// <summary>JSON, but not an object.</summary>
    NotAnObject,

    /// <summary>The request names a parameter that is final.</summary>
    NamesFinal,
}

/// <summary>
/// Merges a request's arguments over the parameters that are bound to an action, into one object with each top-level name
/// once. Names are compared without their escapes, of equal names the last counts, and values are copied as text.
/// </summary>
public static class MergeArguments
{
    /// <summary>
    /// Reads the body once and writes the merged object. An empty body counts as <c>{}</c>. On any outcome but
    /// <see cref="MergeOutcome.Merged"/> the content of the destination is to be ignored.
    /// </summary>
    /// <param name="body">The request's body as it came.</param>
    /// <param name="bound">The bound parameters.</param>
    /// <param name="refuseFinal">True when the action's bound parameters are final (those that are null may still be given).</param>
    /// <param name="destination">Empty; its capacity grows to body and bound parameters together at most.</param>
    public static MergeOutcome Merge(ReadOnlySpan<byte> body, ParameterLayer bound, bool refuseFinal, PooledBuffer destination)
    {
        if (body.IsEmpty)
        {
            body = "{}"u8;
        }

        if (!Utf8.IsValid(body))
        {
            return MergeOutcome.Malformed;
        }

        var members = new MemberTable(destination);
        try
        {
            if (!ReadObject(body, destination, ref members))
            {
                return MergeOutcome.NotAnObject;
            }

            if (members.Count > 0 && (members.Count > 1 || bound.Entries.Length > 0) && members.MarkRepeated())
            {
                DropRepeated(destination, members.Members);
            }

            return AppendBound(bound, refuseFinal, destination, members) ? MergeOutcome.Merged : MergeOutcome.NamesFinal;
        }
        catch (JsonException)
        {
            return MergeOutcome.Malformed;
        }
        finally
        {
            members.Dispose();
        }
    }

    private static bool ReadObject(ReadOnlySpan<byte> body, PooledBuffer destination, ref MemberTable members)
    {
        var reader = new CompactingReader(body, destination);
        reader.Read();
        var isObject = reader.TokenType == JsonTokenType.StartObject;

        // A value that is not an object is read to its end too, since Malformed is reported before NotAnObject.
        while (reader.Read())
        {
            if (isObject && reader.Depth == 1)
            {
                if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    members.Add(reader.TokenStart, reader.Name, reader.NameIsEscaped);
                }
                else
                {
                    members.EndValue(reader.TokenEnd);
                }
            }
        }

        return isObject;
    }

    /// <summary>
    /// Moves the members that count together, over those that a later member of the same name replaces. Their positions in the table are changed too,
    /// since their names are still looked up.
    /// </summary>
    private static void DropRepeated(PooledBuffer destination, Span<MemberTable.Member> members)
    {
        var text = destination.WrittenSpan;
        var written = 1;
        foreach (ref var member in members)
        {
            if (member.Repeated)
            {
                continue;
            }

            if (written > 1)
            {
                text[written++] = (byte)',';
            }

            text[member.Start..member.End].CopyTo(text[written..]);
            member.MoveTo(written);
            written = member.End;
        }

        text[written++] = (byte)'}';
        destination.Truncate(written);
    }

    /// <summary>Appends the bound parameters that the request does not name. False when it names a final one.</summary>
    private static bool AppendBound(ParameterLayer bound, bool refuseFinal, PooledBuffer destination, in MemberTable members)
    {
        if (bound.Entries.IsEmpty)
        {
            return true;
        }

        if (refuseFinal && NamesFinal(bound, members))
        {
            return false;
        }

        var anyMember = members.Count > 0;
        destination.Truncate(destination.Length - 1);
        foreach (ref readonly var entry in bound.Entries)
        {
            if (members.Count > 0 && members.Contains(entry.Name, entry.Hash))
            {
                continue;
            }

            if (anyMember)
            {
                destination.Write(","u8);
            }

            anyMember = true;
            destination.Write(entry.Member);
        }

        destination.Write("}"u8);
        return true;
    }

    private static bool NamesFinal(ParameterLayer bound, in MemberTable members)
    {
        if (members.Count == 0)
        {
            return false;
        }

        foreach (ref readonly var entry in bound.Entries)
        {
            if (entry.Bound && members.Contains(entry.Name, entry.Hash))
            {
                return true;
            }
        }

        return false;
    }
}
