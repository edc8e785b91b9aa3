using System.Buffers;
using Frusta.Contracts.Messages;

namespace Frusta.Controller.Api;

/// <summary>The body of an answer to a blocking call, cut out of the record.</summary>
public static class FinishedAnswer
{
    private static readonly byte[] NoLogs = [.. "[]}"u8];

    /// <summary>HTTP status for a client that waited.</summary>
    public static int StatusCode(ActivationStatus status) => status switch
    {
        ActivationStatus.Success => 200,
        ActivationStatus.ApplicationError or ActivationStatus.DeveloperError => 502,
        _ => 500,
    };

    /// <summary>Bytes that <see cref="Write"/> writes.</summary>
    public static int Length(FinishedActivation finished, bool resultOnly) => !IsBare(finished, resultOnly)
        ? finished.LogsOffset + 3
        : Math.Max(finished.ResultLength, 2);

    /// <summary>
    /// Writes the record without its logs, or the result alone if the client asked for that. A result that is an
    /// array is always written alone, as in OpenWhisk.
    /// </summary>
    public static void Write(FinishedActivation finished, bool resultOnly, IBufferWriter<byte> destination)
    {
        if (!IsBare(finished, resultOnly))
        {
            destination.Write(finished.Record.Span[..finished.LogsOffset]);
            destination.Write(NoLogs);
        }
        else
        {
            destination.Write(finished.ResultLength == 0 ? "{}"u8 : finished.Result);
        }
    }

    /// <summary>The same bytes as <see cref="Write"/>, without a copy: the record is retained until they are sent.</summary>
    internal static AnswerParts Parts(FinishedActivation finished, bool resultOnly)
    {
        var record = finished.Record.Retain();
        return IsBare(finished, resultOnly)
            ? new WholeBytes(default, record.Memory.Slice(finished.ResultOffset, finished.ResultLength), default, record)
            : new WholeBytes(default, record.Memory[..finished.LogsOffset], NoLogs, record);
    }

    private static bool IsBare(FinishedActivation finished, bool resultOnly) => resultOnly || finished.ResultIsArray;
}
