using System.IO.Pipelines;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Limits;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary>Sends a body: a short one in one piece and with its length, a long one a window at a time, each when the client has taken the one before.</summary>
internal static class SendAnswer
{
    private const int WindowBytes = ByteBudget.SmallBytes;
    private const int SliceBytes = 16 * 1024;

    /// <summary>Sends bytes that are there already.</summary>
    /// <param name="context">The request, whose answer has its headers.</param>
    /// <param name="bytes">The body.</param>
    /// <param name="owner">Given back at the end.</param>
    /// <param name="share">What the caller may hold of all answers: it is asked only when the client does not take all at once.</param>
    public static Task SendAsync(HttpContext context, ReadOnlyMemory<byte> bytes, PooledBuffer? owner, ByteShare share)
    {
        if (bytes.Length > WindowBytes)
        {
            return SendAsync(context, new WholeBytes(default, bytes, default, owner), lease: null, share);
        }

        context.Response.ContentLength = bytes.Length;

        // Headers and body leave in one piece; the bytes are copied before the write completes.
        var writing = context.Response.BodyWriter.WriteAsync(bytes, context.RequestAborted);
        if (!writing.IsCompletedSuccessfully)
        {
            return FinishAsync(context, writing, bytes.Length, owner, share);
        }

        owner?.Dispose();
        return Task.CompletedTask;
    }

    /// <summary>Sends a body that is made while it is sent, and gives it and the lease back.</summary>
    public static async Task SendAsync(HttpContext context, AnswerParts parts, ByteLease? lease, ByteShare share)
    {
        var held = lease;
        using var window = PooledBuffer.Rent(WindowBytes + SliceBytes);
        try
        {
            context.Response.ContentLength = parts.Length;
            AnswerPart part;
            do
            {
                part = await parts.NextAsync(window, context.RequestAborted);
                for (var start = 0; start < part.Bytes.Length; start += SliceBytes)
                {
                    part.WriteSlice(window, start, Math.Min(SliceBytes, part.Bytes.Length - start));
                    held = window.Length >= WindowBytes ? await SendAsync(context, window, held, share) : held;
                }

                held = window.Length >= WindowBytes ? await SendAsync(context, window, held, share) : held;
            }
            while (!part.IsLast);

            if (!context.Response.HasStarted)
            {
                context.Response.ContentLength = window.Length;
            }

            held = await SendAsync(context, window, held, share);
        }
        finally
        {
            parts.Dispose();
            held?.Dispose();
        }
    }

    /// <summary>Sends what is in the window and empties it.</summary>
    /// <returns>The lease that holds the answer, which is taken now where there was none and the client does not keep up.</returns>
    private static async ValueTask<ByteLease?> SendAsync(HttpContext context, PooledBuffer window, ByteLease? lease, ByteShare share)
    {
        var writing = context.Response.BodyWriter.WriteAsync(window.Memory, context.RequestAborted);
        if (!writing.IsCompleted && lease is null)
        {
            lease = share.Begin();
            if (!lease.TryHold(Math.Max(window.Length, context.Response.ContentLength ?? 0)))
            {
                context.Abort(); // there is no room for what this client does not read
            }
        }

        var flushed = await writing;
        window.Truncate(0);
        return flushed.IsCompleted ? throw new OperationCanceledException("The client has gone.") : lease;
    }

    private static async Task FinishAsync(HttpContext context, ValueTask<FlushResult> writing, int bytes, PooledBuffer? owner, ByteShare share)
    {
        using var body = owner;
        using var lease = share.Begin();
        if (!lease.TryHold(bytes))
        {
            context.Abort(); // there is no room for what this client does not read
        }

        await writing;
    }
}
