using System.IO.Pipelines;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Limits;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary>Sends a body: a short one in one piece and with its length, a long one in pieces of 64 KiB, each when the client has taken the one before.</summary>
internal static class SendAnswer
{
    private const int PieceBytes = ByteBudget.SmallBytes;
    private const int SliceBytes = 16 * 1024;

    // After so many bytes without a wait a thread of the pool goes on, so that a fast client does not keep an event loop from the others.
    private const int MostInTurn = 4 * PieceBytes;

    /// <summary>Sends bytes that are in memory already.</summary>
    /// <param name="context">The request, whose answer has its headers.</param>
    /// <param name="bytes">The body.</param>
    /// <param name="owner">The owner of the bytes, disposed at the end; null when there is none.</param>
    /// <param name="bounds">The bounds of the caller's answers, which count only when the client does not take all bytes at once.</param>
    public static Task SendAsync(HttpContext context, ReadOnlyMemory<byte> bytes, PooledBuffer? owner, AnswerBounds bounds)
    {
        if (bytes.Length > PieceBytes)
        {
            return SendAsync(context, new WholeBytes(default, bytes, default, owner), lease: null, bounds);
        }

        ValueTask<FlushResult> writing;
        try
        {
            context.Response.ContentLength = bytes.Length;

            // Headers and body leave in one piece; the bytes are copied before the write completes.
            writing = context.Response.BodyWriter.WriteAsync(bytes, context.RequestAborted);
        }
        catch
        {
            owner?.Dispose();
            throw;
        }

        if (!writing.IsCompletedSuccessfully)
        {
            return FinishAsync(context, writing, bytes.Length, owner, bounds);
        }

        owner?.Dispose();
        return Task.CompletedTask;
    }

    /// <summary>Sends a body that is made while it is sent, then disposes it and its lease.</summary>
    public static async Task SendAsync(HttpContext context, AnswerParts parts, ByteLease? lease, AnswerBounds bounds)
    {
        using var body = parts;
        using var sending = new Sending(context, bounds, lease);
        using var window = PooledBuffer.Rent(PieceBytes + SliceBytes);
        context.Response.ContentLength = parts.Length;
        AnswerPart part;
        do
        {
            part = await parts.NextAsync(window, context.RequestAborted);
            for (var start = 0; start < part.Bytes.Length; start += SliceBytes)
            {
                part.WriteSlice(window, start, Math.Min(SliceBytes, part.Bytes.Length - start));
                if (window.Length >= PieceBytes)
                {
                    await sending.SendAsync(window, parts.HeldBytes);
                }
            }

            if (window.Length >= PieceBytes)
            {
                await sending.SendAsync(window, parts.HeldBytes);
            }
        }
        while (!part.IsLast);

        if (!context.Response.HasStarted)
        {
            context.Response.ContentLength = window.Length;
        }

        await sending.SendAsync(window, parts.HeldBytes);
    }

    private static async Task FinishAsync(HttpContext context, ValueTask<FlushResult> writing, int bytes, PooledBuffer? owner, AnswerBounds bounds)
    {
        using var body = owner;
        using var sending = new Sending(context, bounds, lease: null);
        await sending.TakenAsync(writing, bytes);
    }

    /// <summary>One answer on its way: the bytes that it holds, and how many were sent since the client last had to be waited for.</summary>
    /// <param name="context">The request.</param>
    /// <param name="bounds">The bounds of the caller's answers.</param>
    /// <param name="lease">Holds the answer's bytes in the budget; null for a short answer, which takes a lease only when the client has to be waited for.</param>
    private sealed class Sending(HttpContext context, AnswerBounds bounds, ByteLease? lease) : IDisposable
    {
        private ByteLease? _lease = lease;
        private int _inTurn;

        /// <summary>Sends the bytes in the window, and empties it.</summary>
        /// <param name="window">The bytes.</param>
        /// <param name="heldBytes">Bytes that the answer keeps in memory beside them.</param>
        public async ValueTask SendAsync(PooledBuffer window, long heldBytes)
        {
            for (var start = 0; start < window.Length; start += PieceBytes)
            {
                var piece = window.Memory.Slice(start, Math.Min(PieceBytes, window.Length - start));
                if (_inTurn >= MostInTurn)
                {
                    _inTurn = 0;
                    await Task.Yield();
                }

                _inTurn += piece.Length;
                var writing = context.Response.BodyWriter.WriteAsync(piece, context.RequestAborted);
                var flushed = writing.IsCompleted ? await writing : await TakenAsync(writing, Math.Max(window.Length, heldBytes));
                if (flushed.IsCompleted)
                {
                    throw new OperationCanceledException("The client has gone.");
                }
            }

            window.Truncate(0);
        }

        /// <summary>
        /// Waits until the client has taken the bytes that were written. Cuts it off if it takes too long, or if the budget has no room for bytes that wait.
        /// </summary>
        public async ValueTask<FlushResult> TakenAsync(ValueTask<FlushResult> writing, long heldBytes)
        {
            _inTurn = 0;
            if (_lease is null)
            {
                _lease = bounds.Share.Begin();
                if (!_lease.TryHold(heldBytes))
                {
                    context.Abort();
                }
            }

            var taken = writing.AsTask();
            try
            {
                return await taken.WaitAsync(bounds.Patience, bounds.Clock, context.RequestAborted);
            }
            catch (TimeoutException)
            {
                context.Abort();
                return await taken;
            }
        }

        public void Dispose() => _lease?.Dispose();
    }
}

/// <summary>The bounds of one caller's answers.</summary>
/// <param name="Share">Bytes that they may hold.</param>
/// <param name="Patience">Time that a client gets to take 64 KiB.</param>
/// <param name="Clock">Measures that time.</param>
internal readonly record struct AnswerBounds(ByteShare Share, TimeSpan Patience, TimeProvider Clock);
